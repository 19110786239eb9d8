"""Long logs: a rebuild gives the same to the byte, and what a read costs does not grow with what is stored."""

import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from petit.chat.adapters.sqlite import opened
from petit.chat.adapters.sqlite.files import digest
from petit.chat.domain.fold import fold_chat
from petit.chat.domain.rows import Batch
from petit.chat.ports import Repository
from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.subjects import partition
from services.chat.tests.histories import everywhere, signal
from tests.e2e.scale import scaled, within

ROOMS = [ChatId(f"00000000-0000-7000-8000-{number:012}") for number in range(20)]
PEOPLE = [UserId(f"person-{number:03}") for number in range(40)]
KINDS = {"msg": 70, "joined": 12, "view": 8, "left": 3, "role": 1}
"""What people do, and how often."""


def long_log(length: int) -> Iterator[tuple[ChatId, bytes]]:
    """Give a log of rooms that people talk in, come to, leave and are promoted in; the same every time."""
    chance = random.Random(7)
    for number in range(length):
        chat, by, other = chance.choice(ROOMS), chance.choice(PEOPLE), chance.choice(PEOPLE)
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        data: dict[str, object] = {"user": by, "how": "join" if kind == "joined" else "leave"}
        if number < len(ROOMS):
            chat, kind, data = ROOMS[number], "chat.created", {"kind": "room", "title": f"{number}"}
        elif kind == "msg":
            data = {"text": f"message {number}"}
        elif kind == "view":
            data = {"seq": number}
        elif kind == "role":
            data = {"user": other, "role": "owner"}
        yield chat, signal(chat, kind, by=by, data=data, id=f"10000000-0000-7000-8000-{number:012}").payload


async def fold(store: Repository, *, length: int, batch: int, forget_every: int) -> None:
    """Fold the long log in batches; now and then with nothing in memory, as after a crash."""
    states = everywhere(store.chats)
    rows = Batch()
    for offset, (chat, payload) in enumerate(long_log(length), start=1):
        held = states.get(chat) or (await states.load([chat]))[chat]
        fold_chat(held, payload, offset=Offset(offset), into=rows)
        rows.checkpoints[partition(chat)] = Offset(offset)
        if offset % batch == 0 or offset == length:
            rows.seal()
            await store.commit(rows)
            rows = Batch()
            if offset % forget_every < batch:
                states = everywhere(store.chats)


@pytest.mark.proof
@within(120)
async def test_a_long_log_folded_twice_gives_the_same_bytes(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """Show 3: what is folded anew, in other batches and after other crashes, is byte for byte the same."""
    length = scaled(30_000, full=1_000_000)

    for name, batch, forget_every in (("one", 2_000, length), ("other", 333, length // 7)):
        async with opened(tmp_path / name) as store:
            await fold(store, length=length, batch=batch, forget_every=forget_every)
            messages = sum(head.head_seq for head in (await store.heads(ROOMS)).values())
            assert messages > length // 4

    assert digest(tmp_path / "one") == digest(tmp_path / "other")
    figure(f"{length} signals: {digest(tmp_path / 'one')} both times")


@pytest.mark.proof
@within(120)
async def test_reading_costs_the_same_however_much_is_stored(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """The exponent of what a page costs, over the messages stored, is at most 0.05 (told, not asserted)."""
    sizes = [scaled(5_000, full=10_000), scaled(40_000, full=1_000_000)]
    costs: list[dict[str, float]] = []

    for size in sizes:
        async with opened(tmp_path / f"{size}", readers=1) as store:
            await fold(store, length=size, batch=2_000, forget_every=size)
            heads = await store.heads(ROOMS)

            async def history(chat: ChatId, store: Repository = store, head: int = heads[ROOMS[0]].head_seq) -> None:
                await store.messages(chat, first=head // 2, last=head // 2 + 49)

            async def halving(chat: ChatId, store: Repository = store, at: int = size // 2) -> None:
                await store.last_messages([chat], at=Offset(at))

            async def page(chat: ChatId, store: Repository = store, size: int = size) -> None:
                await store.signals(chat, after=Offset(size - 500), to=Offset(size), limit=100)

            costs.append({work.__name__: await cheapest(work) for work in (history, halving, page)})

    for name, before in costs[0].items():
        exponent = math.log(costs[1][name] / before) / math.log(sizes[1] / sizes[0])
        figure(
            f"{name}: {before * 1e3:.3f} ms at {sizes[0]}, {costs[1][name] * 1e3:.3f} ms at {sizes[1]}: {exponent:.3f}"
        )
        assert costs[1][name] < 3 * before + 0.001, (
            f"{name}: {before} s at {sizes[0]}, {costs[1][name]} s at {sizes[1]}"
        )


async def cheapest(work: Callable[[ChatId], Awaitable[None]]) -> float:
    """Return the seconds that the quickest of many runs takes: what the machine does besides is left out."""
    took = []
    for number in range(200):
        begun = time.perf_counter()
        await work(ROOMS[number % len(ROOMS)])
        took.append(time.perf_counter() - begun)
    return sorted(took)[len(took) // 4]
