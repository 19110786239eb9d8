"""The mirror against the whole fold: whatever is held equals what the log says."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petit.contracts import rules
from petit.contracts.ids import ChatId, Offset, Seq, SignalId, Timestamp, UserId
from petit.contracts.problems import Unavailable
from petit.contracts.rpc import Seed, SeedMember
from petit.contracts.rules import ChatState
from petit.contracts.signals import (
    ChatCreated,
    ChatCreatedData,
    ChatSignal,
    Joined,
    JoinedData,
    Left,
    LeftData,
    Msg,
    MsgData,
    decode,
    encode,
)
from petit.contracts.subjects import chat_signal
from petit.kit.log import Entry
from petit.kit.mirror import Mirror

CHATS = tuple(ChatId(f"00000000-0000-7000-8000-00000000000{n}") for n in range(3))
USERS = tuple(UserId(name) for name in ("ada", "bob", "cat"))
AT = Timestamp("2026-11-20T21:04:05.678Z")


def signal(chat: ChatId, *, what: str, by: UserId, user: UserId) -> ChatSignal:
    named = SignalId("00000000-0000-7000-8000-0000000000ff")
    match what:
        case "created":
            return ChatCreated(id=named, by=by, at=AT, chat=chat, data=ChatCreatedData(kind="room", members=(user,)))
        case "joined":
            return Joined(id=named, by=user, at=AT, chat=chat, data=JoinedData(user=user, how="join"))
        case "left":
            return Left(id=named, by=by, at=AT, chat=chat, data=LeftData(user=user, how="removed"))
        case _:
            return Msg(id=named, by=by, at=AT, chat=chat, data=MsgData(text="hi"))


def entry(offset: int, said: ChatSignal) -> Entry:
    return Entry(offset, chat_signal(said.chat, said.type), encode(said), 0, None)


def fold(log: Sequence[Entry], *, chat: ChatId, upto: int) -> ChatState:
    """The whole fold of one chat, by a mirror that held it from the beginning."""
    state = ChatState(chat=chat)
    for item in log:
        if item.offset <= upto and item.subject.split(".")[3] == chat:
            rules.apply(state, decode(item.payload), offset=Offset(item.offset))
    return state


class Owner:
    """Answers seeds from a log that it has folded to the end of; `gate` holds its answers back."""

    def __init__(self, log: Sequence[Entry]) -> None:
        self.log = log
        self.asked: list[tuple[ChatId, Offset]] = []
        self.upto = 0
        self.gate: asyncio.Event | None = None
        self.down = False

    async def seed(self, chat: ChatId, *, min_offset: Offset) -> Seed:
        self.asked.append((chat, min_offset))
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise Unavailable("nobody owns the partition")
        state = fold(self.log, chat=chat, upto=max(self.upto, min_offset))
        return Seed(
            chat=chat,
            offset=state.offset,
            kind=state.kind,
            title=state.title,
            created_at=state.created_at,
            head_seq=state.head_seq,
            members=tuple(
                SeedMember(user=u, role=m.role, joined_offset=m.joined_offset, joined_at=m.joined_at)
                for u, m in state.members.items()
            ),
        )


def room(*, length: int = 4) -> list[Entry]:
    """A room of ada, who says something at every offset from 2 on."""
    first = signal(CHATS[0], what="created", by=USERS[0], user=USERS[0])
    said = signal(CHATS[0], what="msg", by=USERS[0], user=USERS[0])
    return [entry(1, first), *(entry(offset, said) for offset in range(2, length + 1))]


steps = st.lists(
    st.tuples(
        st.sampled_from(CHATS),
        st.sampled_from(["created", "joined", "joined", "left", "msg", "msg"]),
        st.sampled_from(USERS),
        st.sampled_from(USERS),
        st.sampled_from(["nothing", "load", "pin", "unpin", "pass"]),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 40))
def test_what_is_held_equals_the_fold_of_the_log(
    history: list[tuple[ChatId, str, UserId, UserId, str, int]], capacity: int
) -> None:
    log = [
        entry(n, signal(chat, what=what, by=by, user=user)) for n, (chat, what, by, user, _, _) in enumerate(history, 1)
    ]

    async def run() -> None:
        owner = Owner(log)
        mirror = Mirror(owner, position=lambda: 0, capacity=capacity)
        loads: list[asyncio.Task[ChatState]] = []
        for item, (chat, _, _, _, act, ahead) in zip(log, history, strict=True):
            owner.gate = asyncio.Event()
            owner.upto = item.offset + ahead
            match act:
                case "load":
                    loads.append(asyncio.create_task(mirror.load(chat)))
                case "pin":
                    mirror.pin(chat)
                case "unpin":
                    mirror.unpin(chat)
                case _:
                    pass
            await asyncio.sleep(0)  # the request is out; the entry comes before its answer
            step = mirror.on_entry(item)
            if step.state is not None:
                assert step.state == fold(log, chat=ChatId(str(step.under and step.under.key)), upto=item.offset)
            if act != "pass":
                owner.gate.set()
                await asyncio.sleep(0)
        if owner.gate is not None:
            owner.gate.set()
        await asyncio.gather(*loads)
        for chat in CHATS:
            held = mirror.get(chat)
            if held is not None:
                ahead_of_feed = fold(log, chat=chat, upto=held.offset)
                assert held == ahead_of_feed
                assert held.offset >= fold(log, chat=chat, upto=len(log)).offset

    asyncio.run(run())


async def test_all_who_wait_for_a_chat_share_one_request() -> None:
    owner = Owner(room())
    owner.upto = 4
    mirror = Mirror(owner, position=lambda: 4)

    states = await asyncio.gather(*(mirror.load(CHATS[0]) for _ in range(50)))

    assert owner.asked == [(CHATS[0], 4)]
    assert {state.head_seq for state in states} == {3}
    assert mirror.get(CHATS[0]) is states[0]


async def test_a_signal_inside_the_seed_is_not_applied_twice() -> None:
    log = room(length=4)
    owner = Owner(log)
    owner.upto = 3  # the chat service is ahead of this feed
    mirror = Mirror(owner, position=lambda: 2)
    await mirror.load(CHATS[0])

    third, fourth = mirror.on_entry(log[2]), mirror.on_entry(log[3])

    assert third.verdict is None
    assert fourth.verdict == rules.Placed(seq=Seq(3))


async def test_a_chat_that_does_not_exist_is_asked_for_every_time() -> None:
    owner = Owner([])
    mirror = Mirror(owner, position=lambda: 7)

    first, second = await mirror.load(CHATS[0]), await mirror.load(CHATS[0])

    assert first.kind is None
    assert second.kind is None
    assert len(owner.asked) == 2
    assert mirror.get(CHATS[0]) is None


async def test_a_refresh_asks_and_leaves_what_is_held_alone() -> None:
    log = room(length=4)
    owner = Owner(log)
    mirror = Mirror(owner, position=lambda: 2)
    held = await mirror.load(CHATS[0])
    owner.upto = 4

    fresh = await mirror.refresh(CHATS[0])

    assert fresh.head_seq == 3
    assert held.head_seq == 1
    assert mirror.get(CHATS[0]) is held


async def test_a_load_that_fails_is_told_to_all_and_tried_again_by_the_next() -> None:
    owner = Owner(room())
    owner.down = True
    mirror = Mirror(owner, position=lambda: 4)

    results = await asyncio.gather(mirror.load(CHATS[0]), mirror.load(CHATS[0]), return_exceptions=True)
    owner.down = False

    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert (await mirror.load(CHATS[0])).head_seq == 3


async def test_somebody_who_stops_waiting_stops_nobody_else() -> None:
    owner = Owner(room())
    owner.gate = asyncio.Event()
    mirror = Mirror(owner, position=lambda: 4)
    impatient, patient = asyncio.create_task(mirror.load(CHATS[0])), asyncio.create_task(mirror.load(CHATS[0]))
    await asyncio.sleep(0)

    impatient.cancel()
    owner.gate.set()

    assert (await patient).head_seq == 3
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_the_least_recently_used_chat_goes_first_and_pinned_ones_stay() -> None:
    log = [entry(n, signal(chat, what="created", by=USERS[0], user=USERS[1])) for n, chat in enumerate(CHATS, 1)]
    owner = Owner(log)
    mirror = Mirror(owner, position=lambda: 3, capacity=12)  # two chats of two members
    mirror.pin(CHATS[0])
    for chat in CHATS:
        await mirror.load(chat)
    assert len(mirror) == 3

    mirror.get(CHATS[1])
    mirror.unpin(CHATS[0])

    assert mirror.get(CHATS[2]) is None
    assert mirror.get(CHATS[0]) is not None
    assert mirror.get(CHATS[1]) is not None


async def test_bytes_that_are_no_signal_are_void() -> None:
    log = room(length=2)
    owner = Owner(log)
    mirror = Mirror(owner, position=lambda: 2)
    await mirror.load(CHATS[0])

    step = mirror.on_entry(Entry(3, chat_signal(CHATS[0], "msg"), b"\xff{", 0, None))

    assert step.signal is None
    assert step.verdict == rules.Void(rules.VoidReason.MALFORMED)


async def test_closing_gives_up_what_is_being_seeded() -> None:
    owner = Owner(room())
    owner.gate = asyncio.Event()
    mirror = Mirror(owner, position=lambda: 4)
    waiting = asyncio.create_task(mirror.load(CHATS[0]))
    await asyncio.sleep(0)

    await mirror.close()

    with pytest.raises(asyncio.CancelledError):
        await waiting
