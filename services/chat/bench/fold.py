"""What a message costs the fold, in microseconds of CPU: `python services/chat/bench/fold.py [folder]`.

First the steps, each on its own, for shapes of traffic and sizes of batches; then a whole replica that replays a log
of the same shape from a real nats-server: feed, loop, threads and store together, CPU of the replica's process only
(the server is a child). Run it on a quiet machine; `folder` decides which disk is measured.
"""

# ruff: noqa: INP001 - a script, in no package

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import structlog

from petit.chat.adapters.sqlite.connections import connect, prepare
from petit.chat.adapters.sqlite.writes import commit
from petit.chat.app import Options, chat
from petit.chat.domain.fold import fold_chat
from petit.chat.domain.rows import Batch, Chat
from petit.contracts.ids import ChatId, Offset, SignalId, UserId, timestamp
from petit.contracts.rules import ChatState
from petit.contracts.signals import ChatCreated, ChatCreatedData, ChatSignal, Msg, MsgData, decode, encode
from petit.contracts.subjects import chat_signal, partition
from petit.kit.clock import SystemClock
from petit.kit.connection import connect as connect_nats
from petit.kit.ids import Uuid7Maker
from petit.kit.log import Log
from petit.kit.natsserver import NatsConfig, NatsServer

MESSAGES: Final = 40_000
_IN_FLIGHT: Final = 256


class Shape(NamedTuple):
    """How traffic spreads."""

    chats: int
    members: int
    batch: int


SHAPES: Final = (
    Shape(20, 50, 8),
    Shape(20, 50, 2_000),
    Shape(500, 4, 8),
    Shape(500, 4, 60),
    Shape(500, 4, 2_000),
)


def traffic(shape: Shape) -> list[ChatSignal]:
    """Return the creation of every chat, then messages of 200 bytes to all of them in turn."""
    make_id = Uuid7Maker(SystemClock())
    at = timestamp(time.time_ns() // 1_000_000)
    rooms = [
        (ChatId(str(make_id())), [UserId(f"3f2c8a10-0000-4000-8000-{n:06}{m:06}") for m in range(shape.members)])
        for n in range(shape.chats)
    ]
    created = [
        ChatCreated(
            id=SignalId(str(make_id())),
            by=members[0],
            at=at,
            chat=room,
            data=ChatCreatedData(kind="group", title="Title", members=tuple(members)),
        )
        for room, members in rooms
    ]
    data = MsgData(text="x" * 200)
    said = [
        Msg(id=SignalId(str(make_id())), by=members[n // shape.chats % len(members)], at=at, chat=room, data=data)
        for n in range(MESSAGES)
        for room, members in [rooms[n % shape.chats]]
    ]
    return [*created, *said]


def batches(signals: Sequence[ChatSignal], size: int) -> Iterable[Batch]:
    """Fold signals, and give each batch when it is full."""
    stored = [(signal.chat, encode(signal)) for signal in signals]
    chats = {key: Chat(state=ChatState(chat=key)) for key, _ in stored}
    batch = Batch()
    for offset, (key, payload) in enumerate(stored, start=1):
        fold_chat(chats[key], payload, offset=Offset(offset), into=batch)
        batch.checkpoints[partition(key)] = Offset(offset)
        if len(batch.signals) == size:
            batch.seal()
            yield batch
            batch = Batch()


def spent(work: Callable[[], object], *, on: int) -> float:
    """Return microseconds of this thread's CPU that some work takes, a message."""
    gc.collect()
    begun = time.thread_time()
    work()
    return (time.thread_time() - begun) / on * 1e6


def steps(shape: Shape, folder: Path) -> str:
    """Measure the steps on their own."""
    signals = traffic(shape)
    payloads = [encode(signal) for signal in signals]
    db = connect(folder / f"{shape.chats}-{shape.batch}.db", cache_mib=64)
    prepare(db, folder)

    def decode_all() -> None:
        for payload in payloads:
            decode(payload)

    def fold_all() -> None:
        for _ in batches(signals, shape.batch):
            pass

    def write_all() -> None:
        for batch in ready:
            commit(db, batch)

    decoding, folding = spent(decode_all, on=len(signals)), spent(fold_all, on=len(signals))
    ready = list(batches(signals, shape.batch))
    writing = spent(write_all, on=len(signals))
    db.close()
    total = folding + writing
    return f"decode {decoding:.1f}, decode + rules + rows {folding:.1f}, commit {writing:.1f}; together {total:.1f}"


async def replay(shape: Shape, folder: Path) -> str:
    """Measure a replica that folds a log from its beginning."""
    signals = traffic(shape)
    async with (
        NatsServer(NatsConfig(store=folder / f"nats-{shape.chats}")) as server,
        await connect_nats(server.access, name="bench") as nc,
    ):
        log = Log(nc)
        await log.bootstrap()
        for start in range(0, len(signals), _IN_FLIGHT):
            await asyncio.gather(
                *(
                    log.append(chat_signal(signal.chat, signal.type), encode(signal), msg_id=signal.id)
                    for signal in signals[start : start + _IN_FLIGHT]
                )
            )
        last = Offset((await log.info()).last)
        options = Options(nats=server.access, store=folder / f"replay-{shape.chats}.db")
        gc.collect()
        begun, cpu = time.monotonic(), time.process_time()
        async with chat(options) as replica:
            await replica.reach.wait_for(last, partition=None, within=120)
            took, used = time.monotonic() - begun, time.process_time() - cpu
    return f"{used / len(signals) * 1e6:.1f}, at {len(signals) / took:,.0f} messages/s"


def main() -> None:
    """Measure every shape, and say so."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for shape in SHAPES:
            told = steps(shape, Path(folder))
            sys.stdout.write(f"{shape.chats:4} chats of {shape.members:2}, batches of {shape.batch:4}: {told}\n")
        for shape in (SHAPES[1], SHAPES[4]):
            told = asyncio.run(replay(shape, Path(folder)))
            sys.stdout.write(f"{shape.chats:4} chats of {shape.members:2}, a replica that replays: {told}\n")


if __name__ == "__main__":
    main()
