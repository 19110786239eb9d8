"""What one replica answers about chats, over NATS."""

import asyncio
from collections.abc import Collection
from itertools import pairwise

import pytest

from petit.chat.domain.rows import ChatRow, RoomRow
from petit.chat.handlers import many_chats, one_chat
from petit.chat.handlers.model import Model
from petit.chat.handlers.order import Orders
from petit.chat.handlers.reach import Reach
from petit.chat.ports import Repository
from petit.contracts import resources, rpc
from petit.contracts.ids import ChatId, Offset, SignalId, UserId
from petit.contracts.problems import Code, Refused
from petit.contracts.signals import ChatUpdated, ChatUpdatedData
from services.chat.tests.asking import Edge, now
from services.chat.tests.histories import CHATS, cut, fold
from services.chat.tests.test_repository import batch, created, said

ADA, BOB, ZOE = UserId("ada"), UserId("bob"), UserId("zoe")


async def refusal(asked: object) -> Code:
    """Return why something that was asked is refused."""
    with pytest.raises(Refused) as refused:
        await asked  # type: ignore[misc]  # whatever can be awaited
    return refused.value.code


async def test_a_message_is_read_at_the_offset_that_its_send_returned(edge: Edge) -> None:
    chat = await edge.create("group", ADA, BOB)

    for number in range(1, 21):
        offset = await edge.say(chat, f"message {number}", by=ADA)
        history = await edge.history(chat, BOB, min_offset=offset, limit=3)

        assert history.items[-1].text == f"message {number}"
        assert (history.head_seq, history.items[-1].seq, history.items[-1].offset) == (number, number, offset)


async def test_nothing_in_a_history_is_above_what_it_says_it_reflects(repository: Repository) -> None:
    log = [created(CHATS[1], "group", ADA, BOB), *(said(CHATS[1], ADA, id=f"{number}") for number in range(20))]
    await fold(repository, cut(log, [99]))
    model = Model(repository=repository, reach=Reach())
    model.reach.advance(range(64), to=Offset(15))  # what is in the store is known a moment later

    answer = await one_chat.history(model, rpc.HistoryAsk(chat=CHATS[1], viewer=BOB))

    assert answer.body is not None
    assert answer.body.items[-1].offset == answer.as_of == 21


async def test_a_chat_counts_exactly_what_it_says_it_reflects(repository: Repository) -> None:
    log = [created(CHATS[1], "group", ADA, BOB), *(said(CHATS[1], ADA, id=f"{number}") for number in range(20))]
    await fold(repository, cut(log, [99]))
    model = Model(repository=repository, reach=Reach())
    model.reach.advance(range(64), to=Offset(15))

    answer = await one_chat.chat(model, rpc.ChatAsk(chat=CHATS[1], viewer=BOB))

    assert answer.body is not None
    assert (answer.body.head_seq, answer.as_of) == (20, 21)


async def test_what_is_sent_while_a_chat_is_read_is_not_unread_for_its_author(repository: Repository) -> None:
    """R21: a badge never counts the viewer's own messages, however the parts of a read fall around a commit."""
    log = [created(CHATS[1], "group", ADA, BOB), *(said(CHATS[1], ADA, id=f"{number}") for number in range(3))]
    first, second = cut(log, [2, 2])
    await fold(repository, [first])
    heads = repository.heads

    async def heads_and_more(chats: Collection[ChatId]) -> dict[ChatId, ChatRow]:
        found = await heads(chats)
        await fold(repository, [second])
        return found

    repository.heads = heads_and_more  # type: ignore[method-assign]  # something is sent at the worst time
    answer = await one_chat.chat(Model(repository=repository, reach=Reach()), rpc.ChatAsk(chat=CHATS[1], viewer=ADA))

    assert answer.body is not None
    assert (answer.body.head_seq, answer.body.unread, answer.as_of) == (1, 0, 2)


async def test_an_empty_chat_has_no_seqs(edge: Edge) -> None:
    chat = await edge.create("group", ADA)

    history = await edge.history(chat, ADA)

    assert (history.items, history.head_seq, history.first_seq) == ((), 0, 0)


async def test_the_nonce_is_its_authors(edge: Edge) -> None:
    chat = await edge.create("group", ADA, BOB)
    offset = await edge.say(chat, "hello", by=ADA, nonce="n1")

    mine = await edge.history(chat, ADA, min_offset=offset)
    theirs = await edge.history(chat, BOB)

    assert mine.items[0].nonce == "n1"
    assert mine.items[0].model_copy(update={"nonce": None}) == theirs.items[0]
    for viewer, nonce in ((ADA, "n1"), (BOB, None)):
        last = (await edge.chat(chat, viewer)).last
        assert last is not None
        assert last.nonce == nonce


async def test_a_read_that_wants_too_much_of_the_log_is_told_to_come_back(edge: Edge) -> None:
    chat = await edge.create("group", ADA)

    with pytest.raises(Refused) as refused:
        await edge.history(chat, ADA, min_offset=1_000_000)

    assert (refused.value.code, refused.value.retry_after) == (Code.READ_BEHIND, 1)

    far = rpc.MineAsk(viewer=ADA, min_offset=Offset(1_000_000))
    assert await refusal(edge.any("mine", far, body=rpc.MinePage)) == Code.READ_BEHIND


@pytest.mark.parametrize("method", ["mine", "sent"])
async def test_what_is_no_request_is_refused(edge: Edge, method: str) -> None:
    nonsense = rpc.SeedAsk(chat=ChatId("no viewer, no user"))

    assert await refusal(edge.any(method, nonsense, body=dict)) == Code.REQUEST_INVALID


async def test_a_chat_of_others_is_like_one_that_is_not_there(edge: Edge) -> None:
    chat = await edge.create("group", ADA)
    offset = await edge.say(chat, "secret", by=ADA)
    message = (await edge.history(chat, ADA, min_offset=offset)).items[0].id
    nowhere = edge.chat_id()
    one = {"viewer": ZOE, "message": message}

    for asked in (chat, nowhere):
        assert await refusal(edge.chat(asked, ZOE)) == Code.CHAT_NOT_FOUND
        assert await refusal(edge.history(asked, ZOE)) == Code.CHAT_NOT_FOUND
        members = rpc.MembersAsk(chat=asked, viewer=ZOE)
        assert await refusal(edge.owner("members", members, body=rpc.MembersPage)) == Code.CHAT_NOT_FOUND
        request = rpc.MessageAsk.model_validate({"chat": asked, **one})
        assert await refusal(edge.owner("message", request, body=resources.Message)) == Code.CHAT_NOT_FOUND
        assert await refusal(edge.owner("views", request, body=rpc.ViewsPage)) == Code.CHAT_NOT_FOUND


async def test_a_room_shows_its_public_face_until_it_is_empty(edge: Edge) -> None:
    chat = await edge.create("room", ADA, title="Lounge")
    await edge.say(chat, "hello", by=ADA)

    face = await edge.chat(chat, ZOE)
    assert (face.title, face.members_count, face.role, face.joined_offset, face.last) == ("Lounge", 1, None, None, None)
    assert (face.marker, face.unread) == (0, 0)
    assert await refusal(edge.history(chat, ZOE)) == Code.CHAT_NOT_FOUND

    left = await edge.leave(chat, ADA)
    assert await refusal(edge.chat(chat, ZOE, min_offset=left.offset)) == Code.CHAT_NOT_FOUND
    assert await refusal(edge.chat(chat, ADA)) == Code.CHAT_NOT_FOUND
    rooms = await edge.any("rooms", rpc.RoomsAsk(viewer=ZOE, min_offset=left.offset), body=rpc.RoomsPage)
    assert rooms.items == ()


async def test_a_chat_tells_its_viewer_what_is_unread(edge: Edge) -> None:
    chat = await edge.create("group", ADA, BOB)
    for number in range(120):
        await edge.say(chat, f"{number}", by=ADA)
    offset = await edge.say(chat, "the last", by=ADA)

    before = await edge.chat(chat, BOB, min_offset=offset)
    after = await edge.chat(chat, BOB, min_offset=await edge.view(chat, 119, by=BOB))
    back = await edge.chat(chat, BOB, min_offset=await edge.view(chat, 3, by=BOB))
    beyond = await edge.chat(chat, BOB, min_offset=await edge.view(chat, 9_999, by=BOB))
    own = await edge.chat(chat, ADA)

    assert (before.marker, before.unread, before.head_seq) == (0, 100, 121)
    assert before.last is not None
    assert before.last.text == "the last"
    assert (after.marker, after.unread) == (119, 2)
    assert back.marker == 119
    assert (beyond.marker, beyond.unread) == (121, 0)
    assert (own.marker, own.unread) == (121, 0)


async def test_members_are_paged_longest_standing_first(edge: Edge) -> None:
    chat = await edge.create("room", ADA)
    names = [f"u{number:02}" for number in range(25)]
    for name in names:
        await edge.join(chat, name)
    await edge.leave(chat, "u03")
    last = await edge.join(chat, "u03")

    seen: list[str] = []
    after: tuple[Offset, UserId] | None = None
    while True:
        request = rpc.MembersAsk(chat=chat, viewer=ADA, after=after, limit=10, min_offset=last.offset)
        page = await edge.owner("members", request, body=rpc.MembersPage)
        seen += [member.user for member in page.items]
        after = page.next
        if after is None:
            break

    assert seen == [ADA, *(name for name in names if name != "u03"), "u03"]


async def test_views_say_who_has_seen_a_message_without_its_author(edge: Edge) -> None:
    chat = await edge.create("group", ADA, *[f"u{number}" for number in range(7)])
    offset = await edge.say(chat, "one", by=ADA)
    await edge.say(chat, "two", by=UserId("u0"))
    viewed = await edge.view(chat, 1, by="u1")
    first = (await edge.history(chat, ADA, min_offset=max(offset, viewed))).items[0].id
    delivered = rpc.Delivered(chat=chat, markers={UserId("u2"): 2, UserId("stranger"): 2, UserId("u1"): 2})  # type: ignore[dict-item]  # plain numbers
    assert await edge.about(chat, "delivered", delivered, body=dict) == {}

    request = rpc.MessageAsk(chat=chat, viewer=ADA, message=first, limit=4)
    page = await edge.owner("views", request, body=rpc.ViewsPage)
    rest = await edge.owner("views", request.model_copy(update={"after": page.next}), body=rpc.ViewsPage)

    told = {seen.user: (seen.seen, seen.delivered) for seen in (*page.items, *rest.items)}
    assert len(page.items) == 4
    assert rest.next is None
    assert told == dict.fromkeys([f"u{number}" for number in range(7)], (False, False)) | {
        "u0": (True, True),
        "u1": (True, True),
        "u2": (False, True),
    }


async def test_rooms_are_found_by_the_beginning_of_their_title(edge: Edge) -> None:
    for title in ("Straße", "STRASSENBAHN", "Strand", "strasse 2"):
        await edge.create("room", ADA, title=title)
    renamed = await edge.create("room", ADA, title="Strasse 3")
    data = ChatUpdatedData(title="elsewhere")
    change = ChatUpdated(id=edge.id(), by=ADA, at=now(), chat=renamed, data=data)
    offset = (await edge.propose(change, renamed)).offset
    await edge.create("group", ADA, title="Strasse, but no room")

    request = rpc.RoomsAsk(viewer=BOB, prefix="strasse", limit=2, min_offset=offset)
    page = await edge.any("rooms", request, body=rpc.RoomsPage)
    rest = await edge.any("rooms", request.model_copy(update={"after": page.next}), body=rpc.RoomsPage)

    assert [room.title for room in page.items] == ["Straße", "strasse 2"]
    assert [room.title for room in rest.items] == ["STRASSENBAHN"]
    assert rest.next is None


async def test_a_page_of_rooms_tells_nothing_of_a_room_that_it_does_not_show(repository: Repository) -> None:
    """Rows that no chat's row bears out: of a batch that is being written, or come back from the dead."""
    rooms = [ChatId(f"00000000-0000-7000-8000-{number:012}") for number in range(9)]
    await fold(repository, cut([created(room, "room", ADA, title="A room") for room in rooms], [9]))
    ghosts = [ChatId(f"00000000-0000-7000-9000-{number:012}") for number in range(30)]
    rows = [RoomRow(title, chat, Offset(99), listed=True) for title in ("a", "a room", "a root") for chat in ghosts]
    rows += [RoomRow("a secret title", rooms[3], Offset(99), listed=True)]
    await repository.commit(batch(rooms=rows))
    model = Model(repository=repository, reach=Reach())

    shown: list[resources.Chat] = []
    ask = rpc.RoomsAsk(viewer=ZOE, prefix="A", limit=4)
    for count in (4, 4, 1):
        answer = await many_chats.rooms(model, ask)
        assert answer.body is not None
        assert len(answer.body.items) == count
        shown += answer.body.items
        if answer.body.next is not None:
            assert answer.body.next == ("a room", shown[-1].id)
        ask = ask.model_copy(update={"after": answer.body.next})

    assert ask.after is None
    assert [room.id for room in shown] == rooms


async def test_a_room_with_the_longest_title_can_be_paged_from(repository: Repository) -> None:
    """Folding makes eighteen characters of one of these: the place must still fit into a cursor."""
    rooms = [ChatId(f"00000000-0000-7000-8000-{number:012}") for number in range(3)]
    await fold(repository, cut([created(room, "room", ADA, title="\ufdfa" * 200) for room in rooms], [9]))
    model = Model(repository=repository, reach=Reach())

    found = await many_chats.rooms(model, rpc.RoomsAsk(viewer=ZOE, prefix="\ufdfa", limit=2))

    assert found.body is not None
    assert found.body.next is not None
    assert len(found.body.next[0]) == 200
    rest = await many_chats.rooms(model, rpc.RoomsAsk(viewer=ZOE, prefix="\ufdfa", after=found.body.next))
    assert rest.body is not None
    assert [room.id for room in (*found.body.items, *rest.body.items)] == rooms


async def test_a_backlog_is_the_newest_part_of_a_stretch(edge: Edge) -> None:
    chat = await edge.create("group", ADA, BOB)
    offsets = [await edge.say(chat, f"{number}", by=ADA) for number in range(10)]
    await edge.leave(chat, BOB, by=ADA)
    void = await edge.say(chat, "too late", by=BOB)

    request = rpc.BacklogAsk(chat=chat, after=offsets[2], to=offsets[8], limit=4, min_offset=void)
    part = await edge.about(chat, "backlog", request, body=rpc.Backlog)
    whole = await edge.about(chat, "backlog", request.model_copy(update={"limit": 6}), body=rpc.Backlog)
    tail = rpc.BacklogAsk(chat=chat, after=offsets[8], to=void)

    assert ([item.offset for item in part.items], part.complete, part.after_seq) == (offsets[5:9], False, 3)
    assert ([item.offset for item in whole.items], whole.complete) == (offsets[3:9], True)
    assert [item.seq for item in part.items] == [6, 7, 8, 9]
    assert void not in [item.offset for item in (await edge.about(chat, "backlog", tail, body=rpc.Backlog)).items]


async def test_somebody_who_was_removed_still_gets_that_and_the_fate_of_a_late_send(edge: Edge) -> None:
    chat = await edge.create("group", ADA, BOB)
    removed = await edge.leave(chat, BOB, by=ADA)
    late = edge.id()
    void = await edge.say(chat, "too late", by=BOB, id=late)

    announced = await until_announced(edge, BOB, after=removed.offset)
    request = rpc.PersonBacklogAsk(user=BOB, after=Offset(0), to=announced)
    backlog = await edge.any("person_backlog", request, body=rpc.Backlog)

    assert [item.offset for item in backlog.items] == [removed.offset, announced]
    assert backlog.items[0].also == (BOB,)
    assert (backlog.items[1].to_members, backlog.items[1].also) == (False, (BOB,))
    assert f'"message":"{late}","offset":{void},"reason":"not_member"' in backlog.items[1].payload


async def until_announced(edge: Edge, user: UserId, *, after: Offset) -> Offset:
    """Return the offset of the next signal to a person."""
    request = rpc.PersonBacklogAsk(user=user, after=after, to=Offset(10**9))
    for min_offset in range(after + 1, after + 50):
        asked = request.model_copy(update={"min_offset": min_offset})
        items = (await edge.any("person_backlog", asked, body=rpc.Backlog)).items
        if items:
            return items[-1].offset
    raise AssertionError(f"nothing was announced to {user}")


async def test_memberships_and_changes_are_answered_for_many_at_once(edge: Edge) -> None:
    first, second = await edge.create("group", ADA, BOB), await edge.create("group", ADA)
    left = await edge.leave(first, BOB)
    said = await edge.say(second, "hello", by=ADA)

    asked = rpc.MembershipsAsk(users=(ADA, BOB, ZOE), min_offset=said)
    users = (await edge.any("memberships", asked, body=rpc.Memberships)).users
    changed = rpc.ChangedAsk(chats=(first, second, edge.chat_id()), after=left.offset)

    assert users == {ADA: {first: Offset(1), second: Offset(2)}, BOB: {}, ZOE: {}}
    assert (await edge.any("changed", changed, body=rpc.Changed)).chats == {second: said}


async def test_what_became_of_a_send_is_known_for_ever(edge: Edge) -> None:
    chat = await edge.create("group", ADA)
    id = edge.id()
    offset = await edge.say(chat, "hello", by=ADA, id=id)

    known = await edge.any("sent", rpc.SentAsk(user=ADA, id=id, min_offset=offset), body=rpc.SentBefore)
    others = await edge.any("sent", rpc.SentAsk(user=BOB, id=id), body=rpc.SentBefore)

    assert (known.found, known.offset, known.chat) == (True, offset, chat)
    assert not others.found


async def test_an_order_that_two_ask_for_at_once_is_kept_once(repository: Repository) -> None:
    await fold(repository, cut([created(chat, "group", ADA, BOB) for chat in CHATS[1:3]], [99]))
    orders = Orders(kept=4)

    twice = await asyncio.gather(*(orders.order(repository, ADA, at=Offset(2)) for _ in range(2)))
    other = await orders.order(repository, BOB, at=Offset(2))

    assert twice[0] is twice[1]
    assert await orders.order(repository, ADA, at=Offset(2)) is twice[0], "both have room"
    assert await orders.order(repository, BOB, at=Offset(2)) is other


async def test_my_chats_keep_their_order_while_they_are_paged_and_move(edge: Edge) -> None:
    chats = [await edge.create("group", ADA, BOB, title=f"{number}") for number in range(23)]
    for chat in chats[:10]:
        await edge.say(chat, "hello", by=ADA)
    offset = await edge.say(chats[4], "again", by=ADA)

    seen: list[ChatId] = []
    request = rpc.MineAsk(viewer=BOB, limit=5, min_offset=offset)
    while True:
        page = await edge.any("mine", request, body=rpc.MinePage)
        seen += [chat.id for chat in page.items]
        if page.next is None:
            break
        await edge.say(chats[len(seen) % 23], "while paging", by=ADA)
        moved = await edge.say(chats[(len(seen) * 7) % 23], "while paging", by=ADA)
        await edge.create("group", ADA, BOB)
        request = rpc.MineAsk(viewer=BOB, limit=5, after=page.next, ordered_at=page.ordered_at, min_offset=moved)

    written = [4, 9, 8, 7, 6, 5, 3, 2, 1, 0]
    assert seen == [chats[number] for number in (*written, *range(22, 9, -1))]


@pytest.mark.parametrize("backwards", [False, True])
async def test_paging_while_somebody_writes_shows_each_message_once(edge: Edge, *, backwards: bool) -> None:
    chat = await edge.create("group", ADA, BOB)
    offset = [await edge.say(chat, f"{number}", by=ADA) for number in range(1, 61)][-1]

    seen: list[int] = []
    place = {"before": 61} if backwards else {"after": 0}
    while True:
        page = await edge.history(chat, BOB, min_offset=offset, limit=7, **place)
        if not page.items or len(seen) > 200:
            break
        seqs = [item.seq for item in page.items]
        assert all(later == earlier + 1 for earlier, later in pairwise(seqs))
        seen += reversed(seqs) if backwards else seqs
        place = {"before": seqs[0]} if backwards else {"after": seqs[-1]}
        if page.head_seq < 120:
            offset = await edge.say(chat, "while paging", by=BOB)

    assert seen == (list(range(60, 0, -1)) if backwards else list(range(1, len(seen) + 1)))
    assert len(seen) >= 60


async def test_a_message_is_found_by_its_id_in_its_chat_only(edge: Edge) -> None:
    chat, other = await edge.create("group", ADA), await edge.create("group", ADA)
    id = edge.id()
    offset = await edge.say(chat, "hello", by=ADA, id=id)

    request = rpc.MessageAsk(chat=chat, viewer=ADA, message=id, min_offset=offset)
    elsewhere = rpc.MessageAsk(chat=other, viewer=ADA, message=id)
    unknown = rpc.MessageAsk(chat=chat, viewer=ADA, message=SignalId("x"))

    assert (await edge.owner("message", request, body=resources.Message)).text == "hello"
    assert await refusal(edge.owner("message", elsewhere, body=resources.Message)) == Code.MESSAGE_NOT_FOUND
    assert await refusal(edge.owner("message", unknown, body=resources.Message)) == Code.MESSAGE_NOT_FOUND
