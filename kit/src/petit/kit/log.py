"""The log: where every signal is stored, once, and where storing it is publishing it.

Appending is safe to repeat. Each entry has an id; within the duplicate window (two minutes) the log answers
a second attempt with the offset of the first. So an answer that does not come means *unknown*, and the same
attempt is made again under the same id until the deadline, never after it: an entry must not appear when
its sender has long been told that it failed. The window forgets, hence the ten seconds: see ARCHITECTURE,
section 4. What the log refuses (full, gone) is an outage that surely stored nothing.

Reading is for single entries, from the leader. Whoever wants all of them in order reads the feed.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from petit.kit.connection import Connection
from petit.kit.errors import REPAIR, Busy, LogFull, LogLost, Outage, Unanswered
from petit.kit.jetstream import JetStream, Stored
from petit.kit.kv import Bucket, BucketConfig
from petit.kit.stream import LogConfig, LogInfo, StreamMaker, log_info

LATEST_WRITE_S: Final = 10.0
"""No attempt is written later than this after its decision."""
_WITHIN_S: Final = 7.0
"""Longer than a cluster takes to have another leader: some five seconds."""
_ATTEMPT_S: Final = 2.0
_PAUSE_S: Final = 0.02
_MEMORY: Final = "PETIT"


class Entry(NamedTuple):
    """One stored signal. A tuple, because a feed makes a hundred thousand of them a second."""

    offset: int
    subject: str
    payload: bytes
    time_ns: int
    """When it was stored, by the log's clock: nanoseconds since 1970."""
    headers: Mapping[str, str] | None = None
    """As `Log.read` finds them; the feed leaves them out: nobody needs them there, and reading them takes as long as
    all the rest of an entry."""


def memory_bucket(*, replicas: int = 1) -> BucketConfig:
    """Return what the bucket is in which the log's epoch is remembered."""
    return BucketConfig(name=_MEMORY, replicas=replicas)


class Log:
    """The log over one connection; share it between all tasks of a process.

    Args:
        in_flight: Appends that may wait for the log's answer at once.
        waiting: Appends that may wait for their turn; more are refused with `Busy`.
    """

    def __init__(
        self, nc: Connection, *, config: LogConfig | None = None, in_flight: int = 1_024, waiting: int = 4096
    ) -> None:
        self._nc = nc
        self._config = LogConfig() if config is None else config
        self._js = JetStream(nc)
        memory = Bucket(nc, memory_bucket(replicas=self._config.replicas))
        self._maker = StreamMaker(self._js, config=self._config, memory=memory)
        self._turn = asyncio.Semaphore(in_flight)
        self._waiting = 0
        self._max_waiting = waiting

    async def bootstrap(self, *, known_epoch: int = 0, known_offset: int = 0) -> LogInfo:
        """Find the log, or make it where there has never been one; the second run does nothing.

        Args:
            known_epoch: The greatest epoch that the caller's read model has seen, 0 if none.
            known_offset: The greatest offset that it has folded in that epoch.

        Raises:
            LogLost: there is no stream, but there was one.
            LogBehind: the stream ends before what is known.
            LogDamaged: entries that were stored cannot be read.
            Outage: the log cannot be asked now.
        """
        return await self._maker.bootstrap(known_epoch=known_epoch, known_offset=known_offset)

    async def find(
        self, *, known_epoch: int = 0, known_offset: int = 0, remember: bool = False, within: float
    ) -> LogInfo:
        """Find the log that `bootstrap` made elsewhere, and wait for it; for whoever may not make it.

        Args:
            known_epoch: See `bootstrap`.
            known_offset: See `bootstrap`.
            remember: Write down how far it has come, beside it, for all who look later.
            within: Seconds to wait until it is there.

        Raises:
            Unmade: it is not, and never was.
            LogLost: there is no stream, but there was one.
            LogBehind: the stream ends before what is known.
            LogDamaged: entries that were stored cannot be read.
            Outage: the log cannot be asked now.
        """
        known = (known_epoch, known_offset)
        return await self._maker.find(known=known, remember=remember, within=within)

    async def known(self) -> tuple[int, int]:
        """Return the greatest epoch, and offset in it, that the log remembers to have handed out; (0, 0) if none.

        Raises:
            Outage: the log cannot be asked now.
        """
        return await self._maker.known()

    async def new_epoch(self, *, at_least: int = 0, known_epoch: int = 0) -> LogInfo:
        """Throw the stream away and make it anew, under the next epoch; an operator's decision.

        Args:
            at_least: The greatest offset that any read model has folded; the first new one is a million above
                this and above all that the stream itself handed out.
            known_epoch: The greatest epoch that any read model has seen: the log's own memory may be lost with the
                log, and an epoch that comes again would take cursors of the lost one for its own.

        Raises:
            Outage: the log cannot be asked now. Run it again.
        """
        return await self._maker.new_epoch(at_least=at_least, known_epoch=known_epoch)

    async def append(self, subject: str, payload: bytes, *, msg_id: str, deadline: float | None = None) -> Stored:
        """Store an entry, once, and return where.

        Args:
            msg_id: What makes this entry the same entry when it is tried again.
            deadline: `time.monotonic()` after which nothing more is written; at most `LATEST_WRITE_S` after the
                decision that this entry may be stored, and after now. None: seven seconds from now.

        Raises:
            LogFull: nothing was stored, and nothing will be until there is room.
            Busy: too many appends wait already; nothing was stored.
            Unanswered: it is not known whether it was stored; the same id may be tried again.
            Outage: nothing was stored: the log is not there.
        """
        now = time.monotonic()
        deadline = now + _WITHIN_S if deadline is None else min(deadline, now + LATEST_WRITE_S)
        if self._turn.locked():
            await self._wait_for_turn(deadline)
        else:
            await self._turn.acquire()
        try:
            return await self._store(subject, payload, headers={"Nats-Msg-Id": msg_id}, deadline=deadline)
        finally:
            self._turn.release()

    async def read(self, offset: int) -> Entry | None:
        """Return the entry at an offset, from the leader; None if it was erased, trimmed or never stored.

        Raises:
            Outage: the log cannot be asked now.
        """
        raw = await self._js.entry(self._config.stream, seq=offset)
        return None if raw is None else Entry(raw.offset, raw.subject, raw.payload, raw.time_ns, raw.headers)

    async def info(self) -> LogInfo:
        """Return how the log stands now.

        Raises:
            LogLost: there is no stream.
            Outage: the log cannot be asked now.
        """
        state = await self._js.stream(self._config.stream)
        if state is None:
            raise LogLost(f"stream {self._config.stream} is gone: {REPAIR}")
        return log_info(state)

    async def end(self) -> int:
        """Return the offset of the newest entry, as the log itself has it: every feed may be behind."""
        return (await self.info()).last

    async def clock_skew(self) -> float:
        """Return by how many seconds our wall clock is ahead of the log's; right to half a round trip."""
        before = time.time()
        info = await self.info()
        return (before + time.time()) / 2 - info.time_ms / 1000

    async def _wait_for_turn(self, deadline: float) -> None:
        if self._waiting >= self._max_waiting:
            raise Busy(f"{self._waiting} appends wait for the log already")
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await self._turn.acquire()
        except TimeoutError:
            raise Busy("the log took no further append in time") from None
        finally:
            self._waiting -= 1

    async def _store(self, subject: str, payload: bytes, *, headers: Mapping[str, str], deadline: float) -> Stored:
        failure: Outage = Busy("the deadline had passed before the first attempt")
        while (left := deadline - time.monotonic()) > 0:
            try:
                return await self._js.store(subject, payload, headers=headers, within=min(left, _ATTEMPT_S))
            except Unanswered as error:
                failure = error
                await self._nc.assure()
                continue
            except Outage as error:
                if not isinstance(failure, Unanswered):  # an earlier attempt may still have been stored
                    failure = error
                    if isinstance(error, LogFull):
                        break
            await asyncio.sleep(min(_PAUSE_S, left))
        raise failure
