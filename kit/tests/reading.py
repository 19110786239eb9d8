"""What the tests of the feed share: someone who writes, and someone who keeps what was delivered."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from petit.kit.connection import Connection
from petit.kit.errors import Outage
from petit.kit.feed import Feed
from petit.kit.log import Entry, Log
from petit.kit.natsserver import NatsServer

SUBJECT = "signal.7.chat.0190.msg"


class Reader:
    """Keeps every entry, and takes as long about each as it is told."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.entries: list[Entry] = []
        self._seconds = seconds

    def __call__(self, entry: Entry) -> None:
        self.entries.append(entry)
        if self._seconds:
            time.sleep(self._seconds)

    @property
    def offsets(self) -> list[int]:
        """Offsets, in the order of delivery."""
        return [entry.offset for entry in self.entries]


class Writer:
    """Appends numbered entries for as long as it is left alone, and remembers what the log said."""

    def __init__(self, log: Log, *, tasks: int = 8) -> None:
        self.stored: dict[int, bytes] = {}
        """What was acknowledged, by offset."""
        self._log = log
        self._tasks = tasks
        self._number = 0

    async def run(self) -> None:
        """Append until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._tasks):
                group.create_task(self._write())

    async def _write(self) -> None:
        while True:
            self._number += 1
            payload = b"%d" % self._number
            with suppress(Outage):
                stored = await self._log.append(SUBJECT, payload, msg_id=f"w:{self._number}")
                self.stored[stored.offset] = payload
            await asyncio.sleep(0)


@contextmanager
def frozen(server: NatsServer) -> Iterator[None]:
    """Keep the server's process from doing anything, as a machine that hangs."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        threads = [thread / "stat" for thread in Path(f"/proc/{server.pid}/task").iterdir()]
        while any(stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "T" for stat in threads):
            pass  # a signal takes a moment to reach every thread
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@asynccontextmanager
async def running(work: Callable[[], Awaitable[object]]) -> AsyncIterator[asyncio.Task[object]]:
    """Run something in the background, and end it at the end; what it raised meanwhile is raised."""

    async def do() -> object:
        return await work()

    task = asyncio.create_task(do())
    try:
        yield task
        if task.done():
            await task
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def reading(feed: Feed) -> AsyncIterator[Feed]:
    """Run a feed, from its start on."""
    async with running(feed.run):
        await feed.started()
        yield feed


async def eventually(condition: Callable[[], bool], *, within: float = 5.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not, within so many seconds.
    """
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.005)


async def always(condition: Callable[[], bool], *, during: float) -> None:
    """Watch that a condition holds for so many seconds.

    Raises:
        AssertionError: it does not.
    """
    until = time.monotonic() + during
    while time.monotonic() < until:
        assert condition(), f"not all the time for {during} s"
        await asyncio.sleep(0.01)


async def write(log: Log, count: int, *, first: int = 1, size: int = 0) -> None:
    """Append so many entries, numbered from `first` and padded to a size, many at once."""
    numbers = iter(range(first, first + count))

    async def some() -> None:
        for number in numbers:
            await log.append(SUBJECT, (b"%d" % number).ljust(size), msg_id=f"n:{number}")

    await asyncio.gather(*(some() for _ in range(128)))


async def pause_consumers(nc: Connection) -> None:
    """Have the log's consumers send nothing but heartbeats, as one does that cannot read on."""
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    names = json.loads(await nc.replies.request("$JS.API.CONSUMER.NAMES.SIGNALS", within=5))["consumers"]
    assert names
    for name in names:
        request = json.dumps({"pause_until": until}).encode()
        answer = await nc.replies.request(f"$JS.API.CONSUMER.PAUSE.SIGNALS.{name}", request, within=5)
        assert json.loads(answer)["paused"]
