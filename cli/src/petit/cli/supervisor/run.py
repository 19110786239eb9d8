"""`petit up`: start the log server and the services in order, keep them running, stop them in order."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from petit.cli import datadir
from petit.cli.datadir import DataDir, Running
from petit.cli.supervisor import port as ports
from petit.cli.supervisor.banner import banner
from petit.cli.supervisor.children import Child, Program, exit_of
from petit.cli.supervisor.logs import Journal, Terminal
from petit.cli.supervisor.pace import Pace
from petit.cli.supervisor.programs import programs
from petit.cli.trouble import Trouble, file_trouble
from petit.kit.natsserver import NatsConfig, NatsServer, NatsServerError

SLOW_START_S: Final = 20.0
"""After so long, say what is still not ready: a long log takes a while to be read."""
GRACE_S: Final = 6.0
"""Seconds that the services have to stop, all together; then they are killed."""
NATS_GRACE_S: Final = 2.0
LOOK_S: Final = 2.0
"""How often the log server is asked whether it can write."""
ROOM_BYTES: Final = 16 * 1024 * 1024
"""What has to be free on the log's disk before it is worth trying again."""
FAILED_STARTS: Final = 4
"""How often a process may end without ever having been ready; then it is no accident."""
_POLL_S: Final = 0.02
_TAIL_LINES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for."""

    data: Path
    port: int = 8080
    """0: a free one."""
    processes: int = 0
    """0: everything in one process; else so many edges and so many chats."""
    durable: bool = False
    """Every write reaches the disk before it is acknowledged."""


def up(options: Options, *, terminal: Terminal) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        Trouble: it cannot start, or cannot go on.
    """
    os.umask(datadir.PRIVATE_UMASK)
    data = datadir.make(options.data)
    with datadir.locked(data), ports.reserved(options.port) as port:
        asyncio.run(Supervisor(options, data=data, port=port, terminal=terminal).run())


class Supervisor:
    """Everything that runs for one `petit up`."""

    def __init__(self, options: Options, *, data: DataDir, port: int, terminal: Terminal) -> None:
        self._options = options
        self._data = data
        self._port = port
        self._terminal = terminal
        self._token = datadir.nats_token(data)
        self._nats = NatsServer(NatsConfig(store=data.nats, token=self._token, sync_always=options.durable))
        self._nats_ready = asyncio.Event()
        self._pids: dict[str, int] = {}
        self._children: dict[str, tuple[Program, Child]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._trouble: BaseException | None = None
        self._begun = time.monotonic()

    async def run(self) -> None:
        """Start, keep running, stop.

        Raises:
            Trouble: it cannot start, or cannot go on.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        with file_trouble(self._data.logs):
            self._data.logs.mkdir(exist_ok=True)
        self._begin(self._start())
        await self._stopping.wait()
        await self._stop()
        if self._trouble is not None:
            raise self._trouble

    # ── starting ─────────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> None:
        self._begin(self._keep_nats())
        await self._nats_ready.wait()
        wanted = programs(
            self._options.processes,
            port=self._port,
            data=self._data.root,
            nats_url=self._nats.url,
            nats_token=self._token,
            environment={},
        )
        for program in wanted:
            self._begin(self._keep(program))
        warned = False
        while not await self._is_ready():
            if not warned and time.monotonic() - self._begun > SLOW_START_S:
                self._terminal.warn(
                    "petit", f"still waiting for {self._unready()}; the log files are in {self._data.logs}"
                )
                warned = True
            await asyncio.sleep(_POLL_S)
        took_s = time.monotonic() - self._begun
        self._terminal.say(banner(self._running(), data=self._options.data, took_s=took_s))

    async def _is_ready(self) -> bool:
        return not self._unready() and await ports.answers_ready(self._port)

    def _unready(self) -> str:
        return ", ".join(name for name, (_, child) in self._children.items() if not child.ready.is_set())

    # ── keeping ──────────────────────────────────────────────────────────────────────────────────

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - kept, and raised once everything has stopped in order
                self._trouble = self._trouble or error
                self._stopping.set()

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, program: Program) -> None:
        journal = Journal(program.name, folder=self._data.logs, terminal=self._terminal)
        pace, failed = Pace(), 0
        while not self._stopping.is_set():
            child, begun = Child(program, on_line=journal.take), time.monotonic()
            self._children[program.name] = program, child
            self._publish(program.name, child.pid)
            ending = await child.ended()
            if self._stopping.is_set():
                return
            if ending.fatal is not None:
                raise Trouble(ending.fatal)
            failed = 0 if child.ready.is_set() else failed + 1
            if failed >= FAILED_STARTS:
                tail = "\n  ".join(list(journal.file.tail)[-_TAIL_LINES:])
                raise Trouble(f"{program.name} does not start: it {ending.describe()}. It said last:\n  {tail}")
            self._terminal.warn("petit", f"{program.name} {ending.describe()}; starting it again")
            await self._pause(pace.pause_s(lived_s=time.monotonic() - begun))

    async def _keep_nats(self) -> None:
        pace, failed = Pace(), 0
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                with file_trouble(self._data.nats):
                    await self._nats.start()
            except NatsServerError as error:
                failed += 1
                if failed >= FAILED_STARTS or not self._nats_ready.is_set():
                    raise Trouble(str(error)) from error
            else:
                failed = 0
                self._publish("nats-server", self._nats.pid)
                self._nats_ready.set()
                watching = asyncio.ensure_future(self._watch_nats())
                await exit_of(self._nats.pid)
                status = await self._nats.wait()
                watching.cancel()
                if self._stopping.is_set():
                    return
                self._nats.kill()
                self._terminal.warn("petit", f"nats-server ended with status {status}; starting it again")
            await self._pause(pace.pause_s(lived_s=time.monotonic() - begun))

    async def _watch_nats(self) -> None:
        """Where the log server found no room, say so; end it once there is some: by itself it does not try again."""
        told = False
        while not self._stopping.is_set():
            await self._pause(LOOK_S)
            why = await self._nats.write_error()
            if why is None:
                continue
            if not told:
                self._terminal.warn("petit", f"the log cannot be written, sends are refused until it can: {why}")
                told = True
            if shutil.disk_usage(self._data.nats).free >= ROOM_BYTES:
                self._terminal.warn("petit", "the disk has room again: nats-server begins anew")
                os.kill(self._nats.pid, signal.SIGTERM)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _publish(self, name: str, pid: int) -> None:
        self._pids[name] = pid
        try:
            datadir.write_running(self._data, self._running())
        except Trouble as error:
            if not self._nats_ready.is_set():
                raise
            self._terminal.warn("petit", str(error))  # a disk that filled up later must not stop what runs

    def _running(self) -> Running:
        url = f"http://{ports.HOST}:{self._port}"
        return Running(supervisor=os.getpid(), url=url, nats=self._nats.url, processes=dict(self._pids))

    # ── stopping ─────────────────────────────────────────────────────────────────────────────────

    def _on_signal(self) -> None:
        if self._stopping.is_set():  # asked twice: no grace
            for _, child in self._children.values():
                child.signal(signal.SIGKILL)
        self._stopping.set()

    async def _stop(self) -> None:
        deadline = time.monotonic() + GRACE_S
        groups = sorted({program.group for program, _ in self._children.values()})
        for group in groups:
            members = [child for program, child in self._children.values() if program.group == group]
            for child in members:
                child.signal(signal.SIGTERM)
            for child in members:
                await _gone(child, deadline=deadline)
        await self._nats.stop(within=NATS_GRACE_S)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._data.run.unlink(missing_ok=True)


async def _gone(child: Child, *, deadline: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            await child.gone.wait()
    except TimeoutError:
        child.signal(signal.SIGKILL)
        await child.gone.wait()
