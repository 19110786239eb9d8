"""The embedded stack as a user gets it: `petit up` as a child process, started, asked, hurt and stopped.

Everything that a test knows of it is what an operator can see: exit codes, what it prints, `run.json`
and `logs/` in its data folder, and the processes of the operating system.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from tests.e2e.stack import NEW_KEY
from tests.e2e.waiting import until

START_S: Final = 45.0
"""How long a start may take on a busy machine before the test gives up."""
STOP_S: Final = 10.0
"""How long an orderly stop may take (API section 8)."""
_CLI: Final = (sys.executable, "-m", "petit.cli")
_OK: Final = 200
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """How `petit up` ended."""

    status: int
    """Its exit code; negative: the signal that killed it."""
    took_s: float
    """From the request to the end."""


class LocalStack:
    """See `Stack`: one data folder, and the `petit up` that runs on it.

    Args:
        data: The folder (`--data`).
        processes: 0 for everything in one process; else so many edges and chats.
        environment: Local-mode settings, in addition to our own environment.
    """

    def __init__(self, data: Path, *, processes: int = 0, environment: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.processes = processes
        self._environment = {**os.environ, **(environment or {})}
        self._port = 0
        self._up: subprocess.Popen[bytes] | None = None
        self.started_in_s = 0.0
        """How long the last start took until `GET /readyz` answered 200."""

    # ── starting and stopping ────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start, and return when it is ready.

        Raises:
            AssertionError: it ended, or is not ready in time.
        """
        begun = time.monotonic()
        self.launch()
        until(self._is_ready, within_s=START_S, what=f"petit up is ready; it printed:\n{self.printed()}")
        self.started_in_s = time.monotonic() - begun

    def launch(self) -> None:
        """Start, and return at once."""
        assert self._up is None, f"something runs on {self.data} already"
        self.data.mkdir(parents=True, exist_ok=True)
        run = self.data / "run.json"
        run.unlink(missing_ok=True)  # what a kill left behind says nothing about this start
        arguments = ["up", "--port", str(self._port), "--data", str(self.data)]
        if self.processes:
            arguments += ["--processes", str(self.processes)]
        with self._terminal.open("wb") as terminal:
            self._up = subprocess.Popen(
                [*_CLI, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> Stopped:
        """Ask it to stop in order, and wait for its end."""
        up, begun = self._running(), time.monotonic()
        up.send_signal(number)
        return Stopped(status=self.wait(within_s=3 * STOP_S), took_s=time.monotonic() - begun)

    def lose_log(self) -> None:
        """See `Losable.lose_log`."""
        assert self.stop().status == 0
        shutil.rmtree(self.data / "nats")

    def start_in_vain(self) -> str:
        """See `Losable.start_in_vain`."""
        self.launch()
        assert self.wait(within_s=3 * STOP_S) != 0
        return self.printed()

    def begin_anew(self) -> None:
        """See `Losable.begin_anew`."""
        done = self.petit("doctor", "--new-epoch")
        assert done.returncode == 0, done.stderr

    def wait(self, *, within_s: float) -> int:
        """Return its exit code once it has ended.

        Raises:
            AssertionError: it has not in time; it is killed then.
        """
        up = self._running()
        try:
            return up.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise AssertionError(f"petit up runs on after {within_s} s; it printed:\n{self.printed()}") from None
        finally:
            if up.returncode is not None:
                self._up = None

    def kill_everything(self) -> None:
        """`kill -9` the supervisor and every process that it started, and wait until they are gone."""
        up, pids = self._running(), list(self.pids().values())
        up.kill()
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        up.wait()
        self._up = None
        until(lambda: not any(map(runs, pids)), within_s=STOP_S, what=f"{pids} are gone")

    def kill_supervisor(self) -> None:
        """`kill -9` the supervisor alone, as a user might."""
        up = self._running()
        up.kill()
        up.wait()
        self._up = None

    def close(self) -> None:
        """Leave nothing running, whatever state it is in."""
        if self._up is not None:
            self.kill_everything()

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """The origin that serves everything."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def issuer(self) -> str:
        """The development issuer."""
        return f"{self.url}/realms/petit"

    @property
    def client(self) -> str:
        """See `Stack.client`."""
        return "petit-web"

    @property
    def realm_admin(self) -> str:
        """See `Stack.realm_admin`."""
        return f"{self.url}/admin/realms/petit"

    @property
    def service_secret(self) -> str:
        """See `Stack.service_secret`."""
        return (self.data / "issuer" / "gateway.secret").read_text().strip()

    @property
    def runs(self) -> bool:
        """Whether `petit up` has been started and has not ended."""
        return self._up is not None and self._up.poll() is None

    def pids(self) -> dict[str, int]:
        """Return the process ids by name: `edge-0`, `chat-0`, `server`, `nats-server`."""
        try:
            processes: dict[str, int] = json.loads((self.data / "run.json").read_text())["processes"]
        except (OSError, ValueError):
            return {}
        return processes

    def printed(self) -> str:
        """Return what `petit up` printed since its last start."""
        return self._terminal.read_text(errors="replace") if self._terminal.exists() else ""

    def logged(self) -> str:
        """Return everything that the processes logged and printed, rotated files included."""
        files = sorted((self.data / "logs").glob("*.log*"))
        return self.printed() + "".join(file.read_text(errors="replace") for file in files)

    @property
    def gateways(self) -> int:
        """See `Stack.gateways`."""
        return max(1, self.processes)

    def rotate_keys(self) -> None:
        """See `Stack.rotate_keys`."""
        grant = {"grant_type": "client_credentials", "client_id": "petit-gateway", "client_secret": self.service_secret}
        with httpx2.Client(trust_env=False) as http:
            token = http.post(f"{self.issuer}/protocol/openid-connect/token", data=grant).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            http.post(f"{self.realm_admin}/components", json=NEW_KEY, headers=headers).raise_for_status()

    # ── hurting ──────────────────────────────────────────────────────────────────────────────────

    def kill(self, *names: str) -> None:
        """`kill -9` processes by name; the supervisor starts them again."""
        self.signal(signal.SIGKILL, *names)

    def signal(self, number: signal.Signals, *names: str) -> None:
        """Send a signal to processes by name."""
        pids = self.pids()
        for name in names:
            _signal(pids[name], number)

    def named(self, prefix: str) -> tuple[str, ...]:
        """Return the names of processes that begin like this, as `chat-`."""
        return tuple(sorted(name for name in self.pids() if name.startswith(prefix)))

    def when_replaced(self, before: Mapping[str, int]) -> None:
        """Wait until each of these processes, by name and old id, runs as another one, and everything is ready."""
        until(
            lambda: all(self.pids().get(name, pid) != pid for name, pid in before.items()),
            within_s=START_S,
            what=f"{', '.join(before)} were started again",
        )
        until(self._answers_ready, within_s=START_S, what="ready again")

    # ── the other commands ───────────────────────────────────────────────────────────────────────

    def petit(self, *arguments: str, within_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run another command on the same data, and return how it ended and what it printed."""
        return subprocess.run(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=within_s,
            check=False,
        )

    def command(self, *arguments: str) -> Sequence[str]:
        """Return the words of another command on the same data."""
        return (*_CLI, *arguments, "--data", str(self.data))

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def _terminal(self) -> Path:
        return self.data.with_name(f"{self.data.name}.terminal")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._up is not None, f"nothing runs on {self.data}"
        return self._up

    def _is_ready(self) -> bool:
        status = self._running().poll()
        assert status is None, f"petit up ended with exit code {status}; it printed:\n{self.printed()}"
        if not self._port:
            try:
                url: str = json.loads((self.data / "run.json").read_text())["url"]
            except (OSError, ValueError):
                return False
            self._port = int(url.rsplit(":", 1)[1])
        # `readyz` may be answered by the first of several edges; the banner comes when all are up.
        return self._answers_ready() and self.url in self.printed()

    def _answers_ready(self) -> bool:
        try:
            with _DIRECT.open(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == _OK)
        except (urllib.error.URLError, OSError):
            return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def runs(pid: int) -> bool:
    """Say whether a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
