"""The making of the log: stream SIGNALS, its epoch, and the refusal to make it twice.

A stream that vanished must never be made anew behind everyone's back: offsets would begin again, cursors
would point at other entries, and read models would skip what they take for old. So the epoch is kept in three
places: with the stream (`petit_epoch` in its metadata), in the bucket PETIT beside it, and by whoever folds
the log. If any of them remembers more than is there, `bootstrap` stops; only `new_epoch`, which an operator
asks for, makes the stream again, under the next epoch and a million offsets further on.
"""

import asyncio
import json
import math
import time
from dataclasses import dataclass
from typing import Any, Final

import structlog

from petit.contracts import subjects
from petit.kit.errors import BOOTSTRAP, REPAIR, RESTORE, LogBehind, LogDamaged, LogFault, LogLost, Outage, Unmade
from petit.kit.jetstream import NANOSECONDS, STALE_S, JetStream, Rejected, StreamState
from petit.kit.kv import Bucket

EPOCH_KEY: Final = "petit_epoch"
FIRST_EPOCH: Final = 1
APART: Final = 1_000_000
"""Offsets left out between two epochs."""
_MEMORY_KEY: Final = "log"
_UNREADABLE: Final = (0, 1)
"""What a memory that cannot be read remembers: that there was a log, and nothing that any log is behind."""
_PAUSE_S: Final = 0.2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """What the log is made as; all of it can be changed later, without losing anything."""

    stream: str = subjects.STREAM
    subjects: tuple[str, ...] = (subjects.SIGNALS,)
    replicas: int = 1
    max_bytes: int = -1
    """Bytes; beyond it the log refuses entries. -1 leaves the bound to the disk."""
    duplicate_window: float = 120.0
    """Seconds for which the log knows an entry's id."""
    max_consumers: int = 1000
    """Feeds and durable consumers together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogInfo:
    """How the log stands."""

    epoch: int
    first: int
    """Offset of the oldest entry; one more than `last` where there is none."""
    last: int
    """Offset of the newest entry."""
    messages: int
    size: int
    """Bytes."""
    time_ms: int
    """The log's clock when it answered: UTC, milliseconds since 1970."""


class StreamMaker:
    """Makes the stream, once per epoch, and remembers that it did."""

    __slots__ = ("_config", "_js", "_memory")

    def __init__(self, js: JetStream, *, config: LogConfig, memory: Bucket) -> None:
        self._js = js
        self._config = config
        self._memory = memory

    async def bootstrap(self, *, known_epoch: int = 0, known_offset: int = 0) -> LogInfo:
        """Find the stream or make the first one. See `petit.kit.log.Log.bootstrap`.

        Raises:
            LogLost: the stream is gone.
            LogBehind: the stream is older than what is known.
            LogDamaged: entries are missing.
        """
        await self._memory.bootstrap()
        remembered = await self._recall()
        known = max(remembered, (known_epoch, known_offset))
        state = await self._js.stream(self._config.stream)
        if state is None and known > (0, 0):
            raise lost(self._config.stream, known)
        state = await self._make(FIRST_EPOCH, first=1) if state is None else await self._align(state)
        info = check_known(state, known=known)
        if (info.epoch, info.last) > remembered:
            await self._remember(info)
        return info

    async def find(self, *, known: tuple[int, int], remember: bool, within: float) -> LogInfo:
        """Find the stream and wait for it. See `petit.kit.log.Log.find`.

        Raises:
            LogLost: the stream is gone.
            LogBehind: the stream is older than what is known.
            LogDamaged: entries are missing.
            Unmade: the stream or its memory was never made.
            Outage: they cannot be asked.
        """
        deadline = time.monotonic() + within
        sure_s = min(within, STALE_S)
        faulty_since = math.inf
        said = ""
        while True:
            try:
                return await self._look(known, remember=remember)
            except (Outage, LogLost, LogBehind) as error:
                now = time.monotonic()
                faulty_since = min(faulty_since, now) if isinstance(error, LogFault) else math.inf
                if now >= (faulty_since + sure_s if isinstance(error, LogFault) else deadline):
                    raise
                if str(error) != said:
                    said = str(error)
                    _log.info("log.awaited", stream=self._config.stream, reason=said)
            await asyncio.sleep(_PAUSE_S)

    async def _look(self, known: tuple[int, int], *, remember: bool) -> LogInfo:
        try:
            remembered = await self._recall()
        except Rejected as error:
            if not error.is_missing:
                raise
            remembered = (0, 0)
        known = max(remembered, known)
        state = await self._js.stream(self._config.stream)
        if state is None:
            raise lost(self._config.stream, known)
        info = check_known(state, known=known)
        if remember and (info.epoch, info.last) > remembered:
            await self._remember(info)
        return info

    async def known(self) -> tuple[int, int]:
        """Return the greatest epoch, and offset in it, that the log remembers. See `petit.kit.log.Log.known`."""
        await self._memory.bootstrap()
        remembered = await self._recall()
        state = await self._js.stream(self._config.stream)
        if state is None:
            return remembered
        info = log_info(state)
        return max(remembered, (info.epoch, info.last))

    async def new_epoch(self, *, at_least: int = 0, known_epoch: int = 0) -> LogInfo:
        """Make the stream anew under the next epoch. See `petit.kit.log.Log.new_epoch`."""
        epoch, offset = await self.known()
        await self._js.delete_stream(self._config.stream)
        made = log_info(await self._make(max(epoch, known_epoch) + 1, first=max(offset, at_least) + APART))
        await self._remember(made)
        _log.warning("log.remade", stream=self._config.stream, epoch=made.epoch, first=made.first)
        return made

    async def _make(self, epoch: int, *, first: int) -> StreamState:
        config = self._stream_config(epoch) | {"first_seq": first}
        try:
            state = await self._js.create_stream(config)
        except Rejected as error:
            found = await self._js.stream(self._config.stream) if error.is_taken else None
            if found is None:
                raise
            return found  # another process made it at the same moment
        _log.info("log.made", stream=self._config.stream, epoch=epoch, first=first)
        return state

    async def _align(self, state: StreamState) -> StreamState:
        wanted = self._stream_config(log_info(state).epoch)
        if all(state.config.get(key, _ABSENT.get(key)) == value for key, value in wanted.items() if key != "metadata"):
            return state
        _log.info("log.changed", stream=self._config.stream)
        return await self._js.update_stream({**state.config, **wanted, "metadata": dict(state.metadata)})

    def _stream_config(self, epoch: int) -> dict[str, Any]:
        config = self._config
        return {
            "name": config.stream,
            "subjects": list(config.subjects),
            "retention": "limits",
            "storage": "file",
            "compression": compression(config.replicas),
            "discard": "new",
            "num_replicas": config.replicas,
            "max_bytes": config.max_bytes,
            "max_msgs": -1,
            "max_age": 0,
            "max_consumers": config.max_consumers,
            "duplicate_window": int(config.duplicate_window * NANOSECONDS),
            "allow_direct": False,
            "metadata": {EPOCH_KEY: str(epoch)},
        }

    async def _recall(self) -> tuple[int, int]:
        held = await self._memory.get(_MEMORY_KEY)
        if held is None:
            return 0, 0
        try:
            record = json.loads(held.value)
            return int(record["epoch"]), int(record["offset"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            _log.error("log.memory_unreadable", stream=self._config.stream, revision=held.revision)
            return _UNREADABLE

    async def _remember(self, info: LogInfo) -> None:
        record = {"epoch": info.epoch, "offset": info.last}
        await self._memory.put(_MEMORY_KEY, json.dumps(record).encode())


_ABSENT: Final[dict[str, object]] = {"allow_direct": False, "max_age": 0}
"""What the server means where it leaves a setting out."""


def compression(replicas: int) -> str:
    """Return how the log is compressed: not where it is replicated, because nodes cannot recover it (ADR 0013)."""
    return "s2" if replicas == 1 else "none"


def lost(stream: str, known: tuple[int, int]) -> LogLost | Unmade:
    """Return what it means that there is no stream, to one who knows of an epoch and an offset; (0, 0): of none."""
    if known == (0, 0):
        return Unmade(f"there is no stream {stream}: {BOOTSTRAP}")
    return LogLost(f"stream {stream} is gone, but epoch {known[0]} up to offset {known[1]} was handed out: {REPAIR}")


def check_known(state: StreamState, *, known: tuple[int, int]) -> LogInfo:
    """Read a stream's state, and check that it has what is known of it, and all of it.

    Raises:
        LogBehind: it ends before that, or is of an older epoch.
        LogDamaged: entries are missing.
    """
    info = log_info(state)
    if (info.epoch, info.last) < known:
        raise LogBehind(
            f"stream {state.config['name']} is at epoch {info.epoch}, offset {info.last}, but epoch {known[0]}, "
            f"offset {known[1]} was handed out: {REPAIR}"
        )
    check_whole(state)
    return info


def check_whole(state: StreamState) -> None:
    """Check that every entry that was stored is there.

    Where nats-server cannot read a part of its files, it serves the rest as if nothing had happened; but it counts.
    Nothing erases or trims the log yet; what does, will have to say how much.

    Raises:
        LogDamaged: there are too few.
    """
    missing = max(0, state.last - state.begins + 1) - state.messages
    if missing > 0:
        raise LogDamaged(
            f"stream {state.config['name']} should hold offsets {state.begins} to {state.last}, and {missing} of them "
            f"are missing: {RESTORE}"
        )


def log_info(state: StreamState) -> LogInfo:
    """Read a stream's state as the log's.

    Raises:
        Outage: the stream is not one that `StreamMaker` made.
    """
    epoch = state.metadata.get(EPOCH_KEY, "")
    if not epoch.isdecimal():
        raise Outage(f"stream {state.config['name']} has no {EPOCH_KEY} in its metadata: it is not ours")
    return LogInfo(
        epoch=int(epoch),
        first=state.first,
        last=state.last,
        messages=state.messages,
        size=state.size,
        time_ms=state.time_ms,
    )
