"""What a test may ask of an installation, whichever kind it is: the embedded stack, or the real one in containers.

A test that asks for `Stack` runs on both (`--stack embedded|real`). One that needs more, the files or the
processes of `petit up`, asks for `LocalStack` and is marked `embedded`.
"""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

NEW_KEY: Final[dict[str, Any]] = {
    "name": "rsa-generated",
    "providerId": "rsa-generated",
    "providerType": "org.keycloak.keys.KeyProvider",
    "config": {"priority": ["200"]},
}
"""What makes the issuer sign by a new key, as `POST /components` of the realm's admin API takes it."""


class Stack(Protocol):
    """One installation that serves, or can be made to."""

    @property
    def url(self) -> str:
        """The origin that serves everything."""
        ...

    @property
    def issuer(self) -> str:
        """The issuer of its tokens, as in `iss`."""
        ...

    @property
    def client(self) -> str:
        """The issuer's public client that people log in through."""
        ...

    @property
    def realm_admin(self) -> str:
        """The realm's admin API, in Keycloak's paths; the public origin need not serve it."""
        ...

    @property
    def service_secret(self) -> str:
        """The secret of the gateway's own client, `petit-gateway`."""
        ...

    @property
    def gateways(self) -> int:
        """How many gateways serve."""
        ...

    def rotate_keys(self) -> None:
        """Have the issuer sign by a new key from now on."""
        ...

    def start(self) -> None:
        """Start it, unless it runs, and return when it is ready."""
        ...

    def logged(self) -> str:
        """Return everything that the processes logged and printed."""
        ...

    def petit(self, *arguments: str, within_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command of `petit` against it, and return how it ended and what it printed."""
        ...

    def command(self, *arguments: str) -> Sequence[str]:
        """Return the words of such a command."""
        ...

    # ── hurting ──────────────────────────────────────────────────────────────────────────────────

    def named(self, prefix: str) -> tuple[str, ...]:
        """Return the names of processes that begin like this: `edge-`, `chat-` or `nats-`."""
        ...

    def pids(self) -> dict[str, int]:
        """Return the process ids by name: another one where a process was started again."""
        ...

    def kill(self, *names: str) -> None:
        """`kill -9` processes by name; they are started again."""
        ...

    def signal(self, number: signal.Signals, *names: str) -> None:
        """Send a signal to processes by name."""
        ...

    def when_replaced(self, before: Mapping[str, int]) -> None:
        """Wait until each of these processes, by name and old id, runs as another one, and everything is ready."""
        ...


class Losable(Stack, Protocol):
    """One whose log may be lost."""

    def lose_log(self) -> None:
        """Stop it, and delete the log, as lost disks would."""
        ...

    def start_in_vain(self) -> str:
        """Start it though it cannot serve, and return what it says of that; afterwards it is stopped again."""
        ...

    def begin_anew(self) -> None:
        """Have the operator make the log of a new epoch; `start` comes next.

        Raises:
            AssertionError: that was refused.
        """
        ...
