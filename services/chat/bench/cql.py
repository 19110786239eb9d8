"""What the read model in CQL costs: `python services/chat/bench/cql.py HOST:PORT [MESSAGES]`.

First what one owner folds and commits, for shapes of traffic; then what reading costs in a chat of 10,000 messages and
in one of MESSAGES (by default 1,000,000). Makes a keyspace of its own, and drops it. Run it on a quiet machine.
"""

# ruff: noqa: INP001 - a script, in no package

import asyncio
import math
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from petit.chat.adapters.cql.driver import connected
from petit.chat.adapters.cql.migrating import migrate
from petit.chat.adapters.cql.store import CqlStore, opened
from petit.chat.domain.fold import fold_chat
from petit.chat.domain.rows import Batch, Chat
from petit.chat.ports import CqlServer, StoreDown
from petit.contracts.ids import ChatId, Offset, SignalId, UserId, timestamp
from petit.contracts.rules import ChatState
from petit.contracts.signals import ChatCreated, ChatCreatedData, Msg, MsgData, encode
from petit.contracts.subjects import partition
from petit.kit.clock import SystemClock
from petit.kit.ids import Uuid7Maker

MESSAGES: Final = 12_000
PAGE: Final = 50
ASKED: Final = 2_000
SMALL: Final = 10_000


class Shape(NamedTuple):
    """How traffic spreads."""

    chats: int
    members: int
    batch: int


SHAPES: Final = (Shape(20, 50, 300), Shape(20, 50, 2_000), Shape(500, 4, 300), Shape(500, 4, 2_000))


def batches(shape: Shape, *, messages: int, start: int) -> Iterator[Batch]:
    """Fold the creation of every chat, then messages of 200 bytes to all of them in turn; give full batches."""
    make_id = Uuid7Maker(SystemClock())
    at = timestamp(time.time_ns() // 1_000_000)
    people = [UserId(f"3f2c8a10-0000-4000-8000-{number:012}") for number in range(shape.members)]
    chats = [Chat(state=ChatState(chat=ChatId(str(make_id())))) for _ in range(shape.chats)]
    batch, said = Batch(), MsgData(text="x" * 200)
    for number in range(messages + shape.chats):
        chat = chats[number % shape.chats]
        key, by, id = chat.state.chat, people[number // shape.chats % shape.members], SignalId(str(make_id()))
        created = ChatCreatedData(kind="group", title="Title", members=tuple(people))
        signal = (
            Msg(id=id, by=by, at=at, chat=key, data=said)
            if chat.state.kind
            else ChatCreated(id=id, by=people[0], at=at, chat=key, data=created)
        )
        fold_chat(chat, encode(signal), offset=Offset(start + number), into=batch)
        batch.checkpoints[partition(key)] = Offset(start + number)
        if len(batch.signals) == shape.batch:
            batch.seal()
            yield batch
            batch = Batch()
    batch.seal()
    yield batch


async def folding(store: CqlStore, shape: Shape, *, start: int) -> str:
    """Measure what an owner folds and commits, one batch after the other."""
    took: list[float] = []
    begun, cpu = time.monotonic(), time.process_time()
    for batch in batches(shape, messages=MESSAGES, start=start):
        at = time.monotonic()
        await store.commit(batch)
        took.append(time.monotonic() - at)
    wall, used = time.monotonic() - begun, time.process_time() - cpu
    return (
        f"{MESSAGES / wall:,.0f} messages/s, {used / MESSAGES * 1e6:.0f} us of our CPU a message,"
        f" commits p50 {_share(took, 0.5):.0f} ms, longest {_share(took, 1):.0f} ms"
    )


async def reading(store: CqlStore, chat: ChatId, head: int) -> dict[str, tuple[float, float]]:
    """Measure questions about one chat, one at a time; gives the median and the 99th percentile, milliseconds."""
    chance = random.Random(1)  # noqa: S311 - a repeatable load
    last = (await store.heads([chat]))[chat].offset

    async def page() -> None:
        first = chance.randrange(1, head - PAGE)
        assert len(await store.messages(chat, first=first, last=first + PAGE - 1)) == PAGE  # noqa: S101 - a check

    async def newest() -> None:
        await store.messages(chat, first=head - PAGE + 1, last=head)

    async def at_offset() -> None:
        await store.last_messages([chat], at=Offset(last - chance.randrange(head)))

    async def stretch() -> None:
        to = last - chance.randrange(head - PAGE)
        await store.signals(chat, after=Offset(to - PAGE), to=Offset(to), limit=PAGE)

    questions: dict[str, Callable[[], Awaitable[None]]] = {
        "a page anywhere": page,
        "the newest page": newest,
        "the newest message at an offset": at_offset,
        "a stretch of 50 signals": stretch,
    }
    found = {}
    for name, ask in questions.items():
        took = []
        for _ in range(ASKED):
            at = time.monotonic()
            await ask()
            took.append(time.monotonic() - at)
        found[name] = _share(took, 0.5), _share(took, 0.99)
    return found


async def one_chat(store: CqlStore, *, messages: int, start: int) -> tuple[ChatId, int]:
    """Fill one chat."""
    chat = None
    for batch in batches(Shape(1, 20, 2_000), messages=messages, start=start):
        while True:
            with suppress(StoreDown):  # a machine under load: as the fold does
                await store.commit(batch)
                break
        chat = batch.chats[0] if batch.chats else chat
    assert chat is not None  # noqa: S101 - narrows the type
    return chat.chat, chat.head_seq


async def main() -> None:
    """Measure everything, and say so."""
    host, _, port = sys.argv[1].rpartition(":")
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000  # noqa: PLR2004 - HOST:PORT MESSAGES
    server = CqlServer(hosts=(host,), port=int(port), keyspace="petit_bench")
    await migrate(server, replication=1)
    try:
        async with opened(server) as store:
            for number, shape in enumerate(SHAPES):
                told = await folding(store, shape, start=1 + number * 1_000_000)
                sys.stdout.write(f"{shape.chats:4} chats of {shape.members:2}, batches of {shape.batch:4}: {told}\n")
            costs = []
            for number, size in enumerate((SMALL, most)):
                chat, head = await one_chat(store, messages=size, start=10_000_000 * (number + 1))
                costs.append(await reading(store, chat, head))
            for name, (small, _) in costs[0].items():
                large, worst = costs[1][name]
                exponent = math.log(large / small) / math.log(most / SMALL)
                told = f"{small:.2f} ms at {SMALL:,}, {large:.2f} ms (p99 {worst:.2f}) at {most:,}"
                sys.stdout.write(f"{name}: {told}: exponent {exponent:.3f}\n")
    finally:
        async with connected(server, keyspace=None) as database:
            await database.change(f"DROP KEYSPACE {server.keyspace}")


def _share(took: list[float], share: float) -> float:
    return sorted(took)[round(share * (len(took) - 1))] * 1e3


if __name__ == "__main__":
    asyncio.run(main())
