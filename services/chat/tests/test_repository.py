"""What every store promises: idempotent writes of which the later always wins, and questions answered from them.

Rows are made by the fold itself, from small logs; so what is written here is what the service writes.
"""

import asyncio
from collections.abc import Iterable

import pytest

from petit.chat.domain.rows import Batch, ChatRow, MembershipRow, RoomRow
from petit.chat.ports import LastMessage, Repository
from petit.contracts.ids import ChatId, Epoch, Offset, Seq, SignalId, UserId
from petit.contracts.signals import Role
from services.chat.tests.histories import CHATS, PEOPLE, Stored, cut, fold, signal

ADA, BOB, CAT, DAN, EVE = PEOPLE
GROUP, ROOM = CHATS[1], CHATS[2]
START, END = Offset(0), Offset(10**9)


def created(chat: ChatId, kind: str, *people: UserId, title: str = "Title") -> Stored:
    data = {"kind": kind, "title": title, "members": people[1:]}
    return signal(chat, "chat.created", by=people[0], data=data, id=f"created-{chat}")


def said(chat: ChatId, by: UserId, *, id: str, text: str = "hello") -> Stored:
    return signal(chat, "msg", by=by, data={"text": text}, id=id)


def joined(chat: ChatId, user: UserId) -> Stored:
    return signal(chat, "joined", by=user, data={"user": user, "how": "join"}, id=f"joined-{user}")


def left(chat: ChatId, user: UserId) -> Stored:
    return signal(chat, "left", by=user, data={"user": user, "how": "leave"}, id=f"left-{user}")


def role(chat: ChatId, by: UserId, user: UserId, *, role: Role) -> Stored:
    return signal(chat, "role", by=by, data={"user": user, "role": role}, id=f"role-{user}-{role}")


def viewed(chat: ChatId, by: UserId, seq: int) -> Stored:
    return signal(chat, "view", by=by, data={"seq": seq}, id=f"view-{by}-{seq}")


def batch(
    *,
    chats: Iterable[ChatRow] = (),
    memberships: Iterable[MembershipRow] = (),
    rooms: Iterable[RoomRow] = (),
    markers: dict[tuple[ChatId, UserId], Seq] | None = None,
    checkpoints: dict[int, Offset] | None = None,
) -> Batch:
    """Return a batch of rows that no fold made."""
    return Batch(
        chats=list(chats),
        memberships={(row.user, row.chat): row for row in memberships},
        rooms={(row.folded, row.chat): row for row in rooms},
        markers=markers or {},
        checkpoints=checkpoints or {},
    )


async def test_a_new_store_is_empty(repository: Repository) -> None:
    assert await repository.epoch() is None
    assert await repository.checkpoints() == {}
    assert await repository.rules_version() == 1
    assert await repository.chats([GROUP]) == {}
    assert await repository.heads([GROUP]) == {}
    assert await repository.memberships([ADA]) == {ADA: {}}
    assert await repository.sent(ADA, id=SignalId("x")) is None
    assert await repository.messages(GROUP, first=1, last=9) == []
    assert await repository.last_messages([GROUP], at=END) == {}
    assert await repository.activity([GROUP]) == {}
    assert await repository.signals(GROUP, after=START, to=END, limit=9) == []
    assert await repository.unannounced(range(64)) == []


async def test_the_epoch_is_kept(repository: Repository) -> None:
    await repository.set_epoch(Epoch(1))
    await repository.set_epoch(Epoch(2))

    assert await repository.epoch() == 2


async def test_checkpoints_only_grow(repository: Repository) -> None:
    await repository.commit(batch(checkpoints={3: Offset(10), 4: Offset(20)}))
    await repository.commit(batch(checkpoints={3: Offset(9), 4: Offset(21)}))

    assert await repository.checkpoints() == {3: 10, 4: 21}


async def test_the_newest_rules_are_remembered(repository: Repository) -> None:
    for offset, version in ((5, 2), (9, 1)):
        ruled = batch()
        ruled.rules[Offset(offset)] = version
        await repository.commit(ruled)

    assert await repository.rules_version() == 2


async def test_an_older_row_of_a_chat_never_wins(repository: Repository) -> None:
    new = ChatRow(GROUP, Offset(20), "group", "new", "about", "2026", Seq(2), Offset(19), 3, 4)  # type: ignore[arg-type]  # plain text
    old = new._replace(offset=Offset(10), title="old", head_seq=Seq(1))

    await repository.commit(batch(chats=[new]))
    await repository.commit(batch(chats=[old]))

    assert await repository.heads([GROUP, ROOM]) == {GROUP: new}


async def test_an_older_membership_never_wins(repository: Repository) -> None:
    gone = MembershipRow(ADA, GROUP, Offset(20), None, "member")
    there = MembershipRow(ADA, GROUP, Offset(10), Offset(10), "owner")

    await repository.commit(batch(memberships=[gone]))
    await repository.commit(batch(memberships=[there]))
    assert await repository.memberships([ADA]) == {ADA: {}}
    assert await repository.membership(ADA, chats=[GROUP]) == {}

    back = MembershipRow(ADA, GROUP, Offset(30), Offset(30), "member")
    await repository.commit(batch(memberships=[back]))
    assert await repository.memberships([ADA, BOB]) == {ADA: {GROUP: 30}, BOB: {}}
    assert await repository.membership(ADA, chats=[GROUP, ROOM]) == {GROUP: back}


async def test_markers_never_go_back(repository: Repository) -> None:
    await repository.commit(batch(markers={(GROUP, ADA): Seq(5), (GROUP, BOB): Seq(1)}))
    await repository.commit(batch(markers={(GROUP, ADA): Seq(4), (GROUP, BOB): Seq(2)}))
    await repository.deliver({(GROUP, ADA): Seq(7)})
    await repository.deliver({(GROUP, ADA): Seq(6), (ROOM, ADA): Seq(1)})

    places = [(GROUP, ADA), (GROUP, BOB), (GROUP, CAT)]
    assert await repository.markers(places) == {(GROUP, ADA): 5, (GROUP, BOB): 2}
    assert await repository.delivered(places) == {(GROUP, ADA): 7}


async def test_rooms_are_listed_by_title_and_found_by_its_beginning(repository: Repository) -> None:
    def room(folded: str, offset: int, *, listed: bool = True) -> RoomRow:
        return RoomRow(folded, ChatId(f"room {folded}"), Offset(offset), listed)

    await repository.commit(batch(rooms=[room("beta", 5, listed=False), room("alpha", 4), room("alp", 2), room("", 3)]))
    await repository.commit(batch(rooms=[room("beta", 1), room("alpine 😀", 6), room("alq", 7)]))

    found = await repository.rooms("alp", after=None, limit=2)
    rest = await repository.rooms("alp", after=found[-1], limit=9)
    assert [row.folded for row in (*found, *rest)] == ["alp", "alpha", "alpine 😀"]
    assert [row.folded for row in await repository.rooms("", after=None, limit=9)] == [
        "",
        "alp",
        "alpha",
        "alpine 😀",
        "alq",
    ]


async def test_the_directory_is_in_order_whatever_titles_begin_with_and_page_it_falls_into(
    repository: Repository,
) -> None:
    titles = [chr(0x4E00 + number * 7) + "x" * (number % 3) for number in range(120)] + ["same"] * 30 + ["", "😀", "~"]
    rooms = [RoomRow(title, ChatId(f"room {n}"), Offset(n + 1), listed=True) for n, title in enumerate(titles)]
    gone = [row._replace(offset=Offset(500 + row.offset), listed=False) for row in rooms[::3]]
    await repository.commit(batch(rooms=rooms))
    await repository.commit(batch(rooms=gone))
    await repository.commit(batch(rooms=rooms[:10]))

    pages = [await repository.rooms("", after=None, limit=25)]
    while len(pages[-1]) == 25:
        pages.append(await repository.rooms("", after=pages[-1][-1], limit=25))

    left = sorted((row.folded, row.chat) for row in set(rooms) - set(rooms[::3]))
    assert [tuple(listing) for page in pages for listing in page] == left
    assert [row.folded for row in await repository.rooms("same", after=None, limit=99)] == ["same"] * 20


async def test_a_batch_that_is_written_again_changes_nothing(repository: Repository) -> None:
    log = [created(ROOM, "room", ADA), joined(ROOM, BOB), said(ROOM, BOB, id="1"), left(ROOM, BOB)]
    await fold(repository, cut(log, [4]))
    before = await repository.digest()

    await fold(repository, cut(log, [1]), forget=True)
    await fold(repository, cut(log, [2]))

    assert await repository.digest() == before
    assert len(before) == 64


async def test_the_digest_sees_what_is_derived_and_nothing_else(repository: Repository) -> None:
    await fold(repository, cut([created(GROUP, "group", ADA, BOB), said(GROUP, ADA, id="1")], [9]))
    before = await repository.digest()

    await repository.deliver({(GROUP, BOB): Seq(1)})
    await repository.set_epoch(Epoch(7))
    await repository.commit(batch(checkpoints={1: Offset(99)}))
    assert await repository.digest() == before

    await repository.commit(batch(markers={(GROUP, BOB): Seq(1)}))
    assert await repository.digest() != before


async def test_members_are_those_present_longest_standing_first(repository: Repository) -> None:
    log = [
        created(ROOM, "room", BOB, ADA),
        joined(ROOM, DAN),
        joined(ROOM, CAT),
        left(ROOM, DAN),
        role(ROOM, BOB, CAT, role="moderator"),
        joined(ROOM, DAN),
        role(ROOM, BOB, ADA, role="moderator"),
        role(ROOM, BOB, ADA, role="owner"),
    ]
    await fold(repository, cut(log, [3]))

    rows = await repository.members(ROOM, after=None, limit=9)
    assert [(row.user, row.role, row.joined_offset, row.from_offset) for row in rows] == [
        (ADA, "owner", 1, 8),
        (BOB, "owner", 1, 1),
        (CAT, "moderator", 3, 5),
        (DAN, "member", 6, 6),
    ]
    behind = rows[1]
    assert await repository.members(ROOM, after=(behind.joined_offset, behind.user), limit=1) == [rows[2]]


async def test_a_chat_is_read_back_as_it_was_folded(repository: Repository) -> None:
    log = [
        created(ROOM, "room", BOB, ADA, title="Straße"),
        joined(ROOM, CAT),
        role(ROOM, BOB, CAT, role="moderator"),
        said(ROOM, ADA, id="1"),
        left(ROOM, BOB),
    ]
    await fold(repository, cut(log, [2]))

    chat = (await repository.chats([ROOM, GROUP]))[ROOM]

    assert (chat.state.kind, chat.state.title, chat.state.offset, chat.state.head_seq) == ("room", "Straße", 5, 1)
    assert {user: member.role for user, member in chat.state.members.items()} == {ADA: "member", CAT: "owner"}
    assert chat.since == {CAT: 5}
    assert chat.last_offset == 4


async def test_messages_are_read_by_seq_and_by_id(repository: Repository) -> None:
    log = [created(GROUP, "group", ADA, BOB), *(said(GROUP, ADA, id=f"{n}", text=f"{n}") for n in range(1, 8))]
    await fold(repository, cut(log, [3]))

    stretch = await repository.messages(GROUP, first=3, last=5)
    assert [(row.seq, row.id, row.offset) for row in stretch] == [(3, "3", 4), (4, "4", 5), (5, "5", 6)]
    assert await repository.messages_at([(GROUP, Seq(3)), (ROOM, Seq(1))]) == {GROUP: stretch[0]}
    assert await repository.message(GROUP, id=SignalId("4")) == stretch[1]
    assert await repository.message(ROOM, id=SignalId("4")) is None
    assert await repository.message(GROUP, id=SignalId(f"created-{GROUP}")) is None


async def test_of_an_id_that_is_there_twice_the_first_holds(repository: Repository) -> None:
    log = [
        created(GROUP, "group", ADA, BOB),
        created(ROOM, "room", ADA),
        said(GROUP, ADA, id="same", text="first"),
        said(GROUP, ADA, id="same", text="second"),
        said(ROOM, ADA, id="same", text="third"),
        said(GROUP, BOB, id="same", text="another's"),
        said(ROOM, BOB, id="void", text="no member"),
        viewed(GROUP, BOB, 1),
    ]
    await fold(repository, cut(log, [4]))

    mine, others, void = [
        await repository.sent(user, id=SignalId(id)) for user, id in ((ADA, "same"), (BOB, "same"), (BOB, "void"))
    ]
    message = await repository.message(GROUP, id=SignalId("same"))

    assert mine is not None
    assert others is not None
    assert void is not None
    assert message is not None
    assert (mine.offset, others.offset, message.offset) == (3, 6, 3)
    assert (void.seq, void.void) == (None, "not_member")
    assert await repository.sent(BOB, id=SignalId(f"view-{BOB}-1")) is None


async def test_the_newest_message_at_an_offset_is_found(repository: Repository) -> None:
    log = [created(GROUP, "group", ADA, BOB)]
    for number in range(1, 40):
        log += [viewed(GROUP, BOB, 1)] * (number % 4) + [said(GROUP, ADA, id=f"{number}")]
    log.append(viewed(GROUP, BOB, 2))
    await fold(repository, cut(log, [50]))
    messages = await repository.messages(GROUP, first=1, last=99)
    assert await repository.activity([GROUP, ROOM]) == {GROUP: messages[-1].offset}

    for at in range(len(log) + 3):
        expected = [LastMessage(Seq(row.seq or 0), row.offset) for row in messages if row.offset <= at]
        found = await repository.last_messages([GROUP, ROOM], at=Offset(at))
        assert found == ({GROUP: expected[-1]} if expected else {})


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_a_stretch_of_signals_is_its_newest_ones_that_hold(repository: Repository, limit: int) -> None:
    log = [created(GROUP, "group", ADA, BOB)]
    for number in range(1, 12):
        log += [viewed(GROUP, BOB, number), said(GROUP, EVE, id=f"void {number}"), said(GROUP, ADA, id=f"{number}")]
        log += [viewed(GROUP, BOB, number)] * (number % 3)
    rows = await fold(repository, cut(log, [7]))
    held = [rows[offset] for offset in sorted(rows) if rows[offset].void is None]

    for after in range(0, len(log) + 2, 3):
        for to in range(after, len(log) + 3, 5):
            found = await repository.signals(GROUP, after=Offset(after), to=Offset(to), limit=limit)
            assert found == [row for row in held if after < row.offset <= to][-limit:]


async def test_text_is_kept_to_the_character(repository: Repository) -> None:
    texts = ["", "nul \x00 \x1f", "emoji 😀", "quote \" ' \\", "x" * 8_000, "\ufeff\u2028\U0010ffff"]
    log = [created(GROUP, "group", ADA, BOB)]
    log += [said(GROUP, ADA, id=f"{number}", text=text) for number, text in enumerate(texts)]
    log.append(Stored(log[0].subject, b"\xff\xfe no utf-8"))
    await fold(repository, cut(log, [4]))

    rows = await repository.messages(GROUP, first=1, last=99)

    assert [row.payload for row in rows] == [entry.payload.decode() for entry in log[1:-1]]


async def test_void_sends_wait_until_their_announcement_is_folded(repository: Repository) -> None:
    log = [created(GROUP, "group", ADA), said(GROUP, BOB, id="1"), said(GROUP, BOB, id="2")]
    await fold(repository, cut(log, [9]))
    waiting = await repository.unannounced(range(64))
    assert [(row.offset, row.message, row.author, row.reason) for row in waiting] == [
        (2, "1", BOB, "not_member"),
        (3, "2", BOB, "not_member"),
    ]
    assert await repository.unannounced([p for p in range(64) if p != waiting[0].partition]) == []

    told = signal(GROUP, "msg.void", by=BOB, data={"message": "1", "offset": 2, "reason": "not_member"}, id="t")
    await fold(repository, cut([*log, told], [9]))

    assert await repository.unannounced(range(64)) == waiting[1:]
    named = await repository.person_signals(BOB, after=START, to=END, limit=9)
    assert [(row.offset, row.to_members, row.also) for row in named] == [(4, False, f'["{BOB}"]')]


async def test_a_stretch_that_names_somebody_is_its_newest_signals(repository: Repository) -> None:
    log = [created(ROOM, "room", ADA)]
    for _ in range(5):
        log += [joined(ROOM, BOB), left(ROOM, BOB)]
    await fold(repository, cut(log, [4]))

    found = await repository.person_signals(BOB, after=Offset(3), to=Offset(9), limit=2)

    assert [row.offset for row in found] == [7, 9]
    assert await repository.person_signals(CAT, after=START, to=END, limit=2) == []


async def test_many_readers_and_a_writer_get_on(repository: Repository) -> None:
    log = [created(GROUP, "group", ADA, BOB), *(said(GROUP, ADA, id=f"{number}") for number in range(200))]

    async def read() -> None:
        seen = 0
        while seen < 200:
            head = (await repository.heads([GROUP])).get(GROUP)
            seen = head.head_seq if head else 0
            rows = await repository.messages(GROUP, first=1, last=seen)
            assert len(rows) == seen

    async with asyncio.timeout(30):
        await asyncio.gather(fold(repository, cut(log, [1])), *(read() for _ in range(4)))
