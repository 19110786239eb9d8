"""The real stack in containers: three NATS nodes, Cassandra, Keycloak, three of each service, and the proxy.

To a test it is a `Stack` (tests/e2e/stack.py) like `petit up`, and it can be hurt in more ways: paused, cut off
the network, given a wrong clock. Names are the containers': `gateway-0`, `chat-2`, `nats-1`, `cassandra`, `proxy`.
"""

import copy
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Self

import pytest

from tests.e2e.waiting import until
from tests.real.engine import DIRECT, READY_S, Box, Net, Recipe, ok, together, untimed, when_answers, when_logged
from tests.real.plan import CHATS, EDGES, NATS, REPLICAS, Plan, plan
from tests.real.realm import Realm
from tests.real.servers import GATEWAY_SECRET, leader

_CLI: Final = (sys.executable, "-m", "petit.cli")
_SERVICES: Final = (*EDGES, *CHATS)
_FAKETIME: Final = "/opt/libfaketime.so.1"
_STREAM: Final = "SIGNALS"
_JOBS: Final = ("bootstrap", "doctor")
_REPAIR: Final = "--new-epoch"
"""What everybody says who finds the log gone."""


class RealStack:
    """The whole stack.

    Args:
        folder: What the commands of `petit` keep, and in the end everybody's logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = "petit-web"
        """See `Stack.client`."""
        self._plan: Plan = plan()
        self._net = Net()
        self._started = False
        self._told: list[str] = []

    # ── starting and stopping ────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """See `Stack.start`.

        Raises:
            ExceptionGroup: some container ended, or is not ready in time; its last words are in the notes.
        """
        if not self._started:
            self._net.__enter__()
            self._started = True
            for name, recipe in self._plan.recipes.items():
                self._net.box(name, recipe)
            together([*(self._when_serves(name) for name in (*NATS, "cassandra")), self._keycloak, self._bootstrap])
        together(self._net.boxes[name].ensure for name in (*_SERVICES, "proxy"))
        self.when_ready()

    def close(self) -> None:
        """Leave nothing behind but the logs."""
        if self._started:
            self._net.logs_to(self.folder / "logs")
            self._net.__exit__(None, None, None)
            self._started = False

    def when_ready(self, *, within_s: float = READY_S) -> None:
        """Wait until every node has all of the log, every replica is ready, the proxy knows, and people can log in."""
        for name in (*NATS, *_SERVICES):
            self._when_well(name, within_s=within_s)
        until(self._proxied, within_s=within_s, what="the proxy has found every replica")
        until(lambda: ok(self.issuer), within_s=within_s, what="the issuer answers through the proxy")

    # ── its log, lost ────────────────────────────────────────────────────────────────────────────

    def lose_log(self) -> None:
        """See `Losable.lose_log`: all three nodes come back with empty disks."""
        together(self._each(_SERVICES, Box.stop))
        for name in NATS:
            self._net.boxes[name].remove()
        together(self._when_serves(name) for name in NATS)

    def start_in_vain(self) -> str:
        """See `Losable.start_in_vain`: the job that comes first says it, and who is started in spite of that."""
        for name in ("bootstrap", "chat-0"):
            self._net.boxes[name].start()
            until(partial(self._asks_for_repair, name), within_s=READY_S, what=f"{name} says what to do")
            self._net.boxes[name].stop()
        return self.logged_by("bootstrap")

    def _asks_for_repair(self, name: str) -> bool:
        return _REPAIR in self.logged_by(name)

    def begin_anew(self) -> None:
        """See `Losable.begin_anew`; then the job makes what else was lost."""
        for job in ("doctor", "bootstrap"):
            status, said = self._job(job)
            assert status == 0, f"{job} ended with {status}:\n{said}"

    # ── what it is ───────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """See `Stack.url`: the proxy."""
        return self._plan.url

    @property
    def issuer(self) -> str:
        """See `Stack.issuer`."""
        return f"{self.url}/realms/petit"

    @property
    def realm(self) -> Realm:
        """The realm, as its administrator."""
        return Realm(self._at("keycloak"))

    @property
    def realm_admin(self) -> str:
        """See `Stack.realm_admin`."""
        return self.realm.admin_url

    @property
    def service_secret(self) -> str:
        """See `Stack.service_secret`."""
        return GATEWAY_SECRET

    @property
    def gateways(self) -> int:
        """See `Stack.gateways`."""
        return REPLICAS

    def rotate_keys(self) -> None:
        """See `Stack.rotate_keys`."""
        self.realm.rotate_keys()

    @contextmanager
    def brief(self, token_s: int) -> Iterator[Self]:
        """Give the same stack with a client whose access tokens live for so many seconds."""
        self.start()
        view = copy.copy(self)
        view.client = "petit-brief"
        with self.realm.client(view.client, token_s=token_s):
            yield view

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    def logged(self) -> str:
        """See `Stack.logged`: our own services, also those that were replaced since."""
        return "".join([*self._told, *(self._net.boxes[name].logged() for name in _SERVICES)])

    def logged_by(self, name: str) -> str:
        """Return what one container printed."""
        return self._net.boxes[name].logged()

    def why_not_ready(self, name: str) -> str:
        """Return what a replica says of its readiness; the end of its log if it does not run."""
        try:
            with DIRECT.open(f"{self._at(name)}/readyz", timeout=5) as answer:
                return bytes(answer.read()).decode()
        except OSError as error:
            body = getattr(error, "read", bytes)()
            return bytes(body).decode() or self.logged_by(name)[-4_000:]

    def log_leader(self) -> str:
        """Return the NATS node that leads the log."""
        return leader(_STREAM, monitors={name: self._plan.ports[name] for name in NATS})

    def pids(self) -> dict[str, int]:
        """See `Stack.pids`."""
        return {name: box.pid for name, box in self._net.boxes.items() if name not in _JOBS}

    def named(self, prefix: str) -> tuple[str, ...]:
        """See `Stack.named`; `edge-` are the gateways and the notifiers."""
        if prefix == "edge-":
            return EDGES
        return tuple(name for name in sorted(self._net.boxes) if name.startswith(prefix))

    # ── the command line ─────────────────────────────────────────────────────────────────────────

    def petit(self, *arguments: str, within_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """See `Stack.petit`: here on the host, as a person at their own machine."""
        return subprocess.run(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    def command(self, *arguments: str) -> Sequence[str]:
        """See `Stack.command`; a log-in says where, and that the password is the name."""
        how = []
        if arguments[0] == "login" and arguments[1:]:
            how += ["--url", self.url, "--issuer", self.issuer]
            how += [] if "--password" in arguments else ["--password", arguments[1]]
        return (*_CLI, *arguments, *how, "--data", str(self.folder / "cli"))

    # ── hurting ──────────────────────────────────────────────────────────────────────────────────

    def kill(self, *names: str) -> None:
        """See `Stack.kill`."""
        self.down(*names)
        self.up(*names)

    def down(self, *names: str) -> None:
        """`kill -9`; `up` starts them again."""
        together(self._each(names, Box.kill))

    def up(self, *names: str) -> None:
        """Start what is down."""
        together(self._each(names, Box.start))

    def pause(self, *names: str) -> None:
        """Freeze them: connections stay open and nothing answers."""
        together(self._each(names, Box.pause))

    def unpause(self, *names: str) -> None:
        """Let them go on."""
        together(self._each(names, Box.unpause))

    def cut(self, *names: str) -> None:
        """Take them off the network."""
        together(self._each(names, Box.cut))

    def heal(self, *names: str) -> None:
        """Put them back on the network."""
        together(self._each(names, Box.heal))

    def signal(self, number: signal.Signals, *names: str) -> None:
        """See `Stack.signal`; what ends of it is started again."""
        match number:
            case signal.SIGSTOP:
                self.pause(*names)
            case signal.SIGCONT:
                self.unpause(*names)
            case signal.SIGKILL:
                self.kill(*names)
            case _:
                together(self._each(names, Box.stop))
                self.up(*names)

    def restart(self, name: str, *, within_s: float = READY_S) -> None:
        """Ask a replica to end, start it again, and wait until it is ready and has its part of the requests."""
        box = self._net.boxes[name]
        box.stop()
        box.start()
        self._when_serves(name, within_s=within_s)()
        until(self._proxied, within_s=within_s, what=f"the proxy has found {name} again")

    def when_replaced(self, before: Mapping[str, int]) -> None:
        """See `Stack.when_replaced`."""

        def replaced() -> bool:
            return all(self._net.boxes[name].pid not in {0, pid} for name, pid in before.items())

        until(replaced, within_s=READY_S, what=f"{', '.join(before)} were started again")
        self.when_ready()

    @contextmanager
    def clocks(self, ahead_s: Mapping[str, int]) -> Iterator[None]:
        """Run replicas whose clocks are wrong by so many seconds, by name; negative: behind.

        They are made anew for that, and again afterwards; whether one gets ready with that clock is not waited for.
        """
        boxes = {name: self._net.boxes[name] for name in ahead_s}
        right = {name: box.recipe for name, box in boxes.items()}
        for name, box in boxes.items():
            wrong = {
                "LD_PRELOAD": _FAKETIME,
                "FAKETIME": f"{ahead_s[name]:+d}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            env, files = {**right[name].env, **wrong}, {**right[name].files, _FAKETIME: _faketime()}
            self._remake(box, replace(right[name], env=env, files=files))
        try:
            yield
        finally:
            for name, box in boxes.items():
                self._remake(box, right[name])
            self.when_ready()

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    def _at(self, name: str) -> str:
        return f"http://127.0.0.1:{self._plan.ports[name]}"

    def _each(self, names: Sequence[str], do: Callable[[Box], object]) -> Iterator[Callable[[], object]]:
        return (lambda box=self._net.boxes[name]: do(box) for name in names)  # type: ignore[misc] # a box each

    def _remake(self, box: Box, recipe: Recipe) -> None:
        self._told.append(box.logged())
        box.remade(recipe)

    def _when_serves(self, name: str, *, within_s: float = READY_S) -> Callable[[], None]:
        """Return what starts a container if it does not run, and waits until it serves."""

        def wait() -> None:
            box = self._net.boxes[name]
            box.ensure()
            if name == "cassandra":
                when_logged(box, "Startup complete", within_s=within_s)
            elif name == "keycloak":
                when_answers(box, f"http://127.0.0.1:{self._plan.keycloak_ready}/health/ready", within_s=within_s)
            else:
                self._when_well(name, within_s=within_s)

        return wait

    def _when_well(self, name: str, *, within_s: float) -> None:
        """Wait until a container says that it is well; of a node of the log, that it is behind in nothing."""
        path = "healthz" if name in NATS else "readyz"
        try:
            when_answers(self._net.boxes[name], f"{self._at(name)}/{path}", within_s=within_s)
        except AssertionError as error:
            if name not in NATS:
                error.add_note(self.why_not_ready(name))
            raise

    def _keycloak(self) -> None:
        """Have it know our origin, which is another one in each run."""
        self._when_serves("keycloak")()
        self.realm.serve(self.url)

    def _bootstrap(self) -> None:
        """Make the streams, the buckets and the tables; it waits for the servers by itself."""
        status, said = self._job("bootstrap")
        assert status == 0, f"bootstrap ended with {status}:\n{said}"

    def _job(self, name: str) -> tuple[int, str]:
        """Run a container to its end, and return its exit code and the end of what it printed."""
        box = self._net.boxes[name]
        self._remake(box, box.recipe)
        return box.ended(within_s=READY_S), box.logged()[-4_000:]

    def _proxied(self) -> bool:
        """Say whether the proxy has every replica of both edges."""
        try:
            with DIRECT.open(f"http://127.0.0.1:{self._plan.proxy_metrics}/metrics", timeout=5) as answer:
                told = bytes(answer.read()).decode()
        except OSError:
            return False
        active = dict(re.findall(r'^haproxy_backend_active_servers\{proxy="(\w+)"\} (\d+)', told, re.MULTILINE))
        return all(int(active.get(service, 0)) >= REPLICAS for service in ("gateway", "notifier")) and ok(
            f"{self.url}/readyz"
        )


def _faketime() -> Path:
    """Return the library that lies about the time, as deploy/docker/local/build leaves it.

    Raises:
        AssertionError: it is not there.
    """
    state = Path(os.environ.get("PETIT_DOCKER", "") or Path(tempfile.gettempdir()) / "petit-docker")
    for place in (state / "libfaketime.so.1", Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")):
        if place.exists():
            return place
    raise AssertionError("no libfaketime: run deploy/docker/local/build faketime, or apt-get install libfaketime")


@pytest.fixture(scope="session")
def real_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    """The whole stack, once for the run."""
    stack = RealStack(tmp_path_factory.mktemp("real"))
    try:
        with untimed():
            stack.start()
        yield stack
        assert "Traceback" not in stack.logged()
    finally:
        stack.close()
