"""One child process: started, listened to, waited for.

A child of ours (`petit.cli.serve`) says on its standard output when it is ready, and what no restart
would cure; its standard error is its log. Its standard input is a pipe that nobody writes to: when the
supervisor is gone, however it went, the pipe ends, and so does the child.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_POLL_S: Final = 0.05
_LINE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run."""

    name: str
    """As in `run.json` and the name of its log: `edge-0`."""
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """In addition to our own."""
    group: int = 0
    """When it stops: lower groups first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a child ended."""

    status: int
    """Its exit status; negative: the signal that killed it."""
    fatal: str | None
    """What it said that no restart would cure."""

    def describe(self) -> str:
        """Say it in words."""
        return f"was killed by signal {-self.status}" if self.status < 0 else f"ended with status {self.status}"


class Child:
    """One run of a program."""

    def __init__(self, program: Program, *, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self.ready = asyncio.Event()
        """Set when the child says that it is."""
        self.gone = asyncio.Event()
        """Set when it has ended."""
        self._fatal: str | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", *program.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **program.environment},
            start_new_session=True,  # Ctrl-C on the terminal is for the supervisor, which stops the rest in order
        )
        self.pid = self._process.pid

    async def ended(self) -> Ending:
        """Listen to the child until it ends."""
        listening = [
            asyncio.ensure_future(self._listen(self._process.stdout, self._on_control)),
            asyncio.ensure_future(self._listen(self._process.stderr, self._on_line)),
        ]
        status = 0
        try:
            await exit_of(self.pid)
            while self._process.poll() is None:  # noqa: ASYNC110 - only where there is no pidfd
                await asyncio.sleep(_POLL_S)
            # What it said last is in the pipes; a grandchild may hold them open.
            await asyncio.wait(listening, timeout=1.0)
        finally:
            for task in listening:
                task.cancel()
            if self._process.stdin is not None:
                self._process.stdin.close()
            status = self._process.wait()
            self.gone.set()
        return Ending(status=status, fatal=self._fatal)

    def signal(self, number: int) -> None:
        """Send a signal, if the child still runs."""
        self._process.send_signal(number)

    def _on_control(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        match message:
            case {"ready": True}:
                self.ready.set()
            case {"fatal": str(why)}:
                self._fatal = why
            case _:  # somebody printed
                self._on_line(line)

    @staticmethod
    async def _listen(pipe: object, take: Callable[[str], None]) -> None:
        reader = asyncio.StreamReader(limit=_LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            while True:
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.IncompleteReadError as error:
                    if error.partial:
                        take(error.partial.decode(errors="replace"))
                    return
                except asyncio.LimitOverrunError as error:
                    line = await reader.readexactly(error.consumed)
                take(line.decode(errors="replace").rstrip("\n"))
        finally:
            transport.close()


async def exit_of(pid: int) -> None:
    """Wait until a child has ended, where the system can tell without polling (Linux); it is still to be reaped."""
    if sys.platform != "linux":
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
