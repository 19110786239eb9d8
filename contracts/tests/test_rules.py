"""The rules of a chat: dense seq, sizes, roles, succession, and what is void where."""

import copy
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petit.contracts import rules
from petit.contracts.ids import ChatId, Offset, Seq, SignalId, Timestamp, UserId, dm_chat_id
from petit.contracts.rules import ChatState, Placed, Void, VoidReason, apply, judge
from petit.contracts.signals import (
    ChatCreated,
    ChatCreatedData,
    ChatKind,
    ChatSignal,
    ChatUpdated,
    ChatUpdatedData,
    Joined,
    JoinedData,
    Left,
    LeftData,
    Msg,
    MsgData,
    MsgVoid,
    MsgVoidData,
    Role,
    RoleChanged,
    RoleData,
    View,
    ViewData,
)

ADA, BOB, CAT, DAN, EVE = (UserId(name) for name in ("ada", "bob", "cat", "dan", "eve"))
PEOPLE = (ADA, BOB, CAT, DAN, EVE)
CHAT = ChatId("019353a0-0000-7000-8000-0000000000c1")
ID = SignalId("019353a0-0000-7000-8000-000000000001")
AT = Timestamp("2026-11-20T21:04:05.678Z")


def created(by: UserId, *members: UserId, kind: ChatKind = "group", chat: ChatId = CHAT) -> ChatCreated:
    return ChatCreated(id=ID, by=by, at=AT, chat=chat, data=ChatCreatedData(kind=kind, title="T", members=members))


def said(by: UserId) -> Msg:
    return Msg(id=ID, by=by, at=AT, chat=CHAT, data=MsgData(text="hi"))


def joined(user: UserId, *, by: UserId | None = None) -> Joined:
    how = JoinedData(user=user, how="invite" if by else "join")
    return Joined(id=ID, by=by or user, at=AT, chat=CHAT, data=how)


def left(user: UserId, *, by: UserId | None = None) -> Left:
    data = LeftData(user=user, how="removed" if by else "leave")
    return Left(id=ID, by=by or user, at=AT, chat=CHAT, data=data)


def gave(by: UserId, user: UserId, role: Role) -> RoleChanged:
    return RoleChanged(id=ID, by=by, at=AT, chat=CHAT, data=RoleData(user=user, role=role))


def renamed(by: UserId) -> ChatUpdated:
    return ChatUpdated(id=ID, by=by, at=AT, chat=CHAT, data=ChatUpdatedData(about="new"))


def viewed(by: UserId, seq: int) -> View:
    return View(id=ID, by=by, at=AT, chat=CHAT, data=ViewData(seq=Seq(seq)))


def fold(*signals: ChatSignal, chat: ChatId = CHAT) -> tuple[ChatState, list[rules.Verdict]]:
    state = ChatState(chat=chat)
    return state, [apply(state, signal, offset=Offset(n)) for n, signal in enumerate(signals, start=1)]


def test_messages_of_members_are_numbered_from_one() -> None:
    state, verdicts = fold(created(ADA, BOB), said(ADA), said(BOB), said(ADA))

    assert [verdict.seq for verdict in verdicts if isinstance(verdict, Placed)] == [None, 1, 2, 3]
    assert state.head_seq == 3


def test_a_send_overtaken_by_a_removal_is_void_and_takes_no_seq() -> None:
    state, verdicts = fold(created(ADA, BOB), said(BOB), left(BOB, by=ADA), said(BOB), said(ADA))

    assert verdicts[3] == Void(VoidReason.NOT_MEMBER)
    assert rules.voided_send(said(BOB), verdicts[3]) == ID
    assert verdicts[4] == Placed(seq=Seq(2))
    assert state.head_seq == 2


def test_a_chat_that_is_not_there_voids_everything() -> None:
    _, verdicts = fold(said(ADA), joined(ADA), viewed(ADA, 1))

    assert verdicts == [Void(VoidReason.NO_CHAT)] * 3


def test_a_chat_is_created_once() -> None:
    _, verdicts = fold(created(ADA, BOB), created(BOB, ADA))

    assert verdicts == [Placed(), Void(VoidReason.CHAT_EXISTS)]


def test_a_dm_has_the_id_of_its_two_members() -> None:
    dm = dm_chat_id(ADA, BOB)

    _, good = fold(created(ADA, ADA, BOB, kind="dm", chat=dm), chat=dm)
    _, elsewhere = fold(created(ADA, ADA, BOB, kind="dm"))
    _, alone = fold(created(ADA, ADA, kind="dm", chat=dm), chat=dm)

    assert good == [Placed()]
    assert elsewhere == alone == [Void(VoidReason.MALFORMED)]


def test_a_dm_cannot_be_left_joined_renamed_or_enlarged() -> None:
    dm = dm_chat_id(ADA, BOB)
    state, _ = fold(created(ADA, BOB, kind="dm", chat=dm), chat=dm)

    refused: list[ChatSignal] = [
        left(ADA),
        left(BOB, by=ADA),
        renamed(ADA),
        joined(CAT, by=ADA),
        gave(ADA, BOB, "owner"),
        joined(ADA),
    ]

    assert [judge(state, signal) for signal in refused] == [VoidReason.FIXED] * len(refused)
    assert judge(state, joined(CAT)) is VoidReason.NOT_JOINABLE


def test_anyone_joins_a_room_and_nobody_a_group() -> None:
    room, _ = fold(created(ADA, kind="room"))
    group, _ = fold(created(ADA))

    assert judge(room, joined(BOB)) is None
    assert judge(room, joined(ADA)) is VoidReason.ALREADY_MEMBER
    assert judge(group, joined(BOB)) is VoidReason.NOT_JOINABLE
    assert judge(group, joined(BOB, by=ADA)) is None
    assert judge(group, joined(BOB, by=CAT)) is VoidReason.NOT_MEMBER


def test_an_empty_room_is_gone() -> None:
    room, verdicts = fold(created(ADA, kind="room"), left(ADA))

    assert verdicts[1] == Placed(also=(ADA,))
    assert judge(room, joined(BOB)) is VoidReason.NOT_JOINABLE


@pytest.mark.parametrize(("kind", "size"), [("group", rules.GROUP_SIZE), ("room", rules.ROOM_SIZE)])
def test_a_chat_holds_so_many_and_no_more(kind: ChatKind, size: int) -> None:
    crowd = [UserId(f"u{n}") for n in range(size)]

    state, verdicts = fold(created(crowd[0], *crowd, kind=kind))
    _, over = fold(created(ADA, *crowd, kind=kind))

    assert verdicts == [Placed()]
    assert judge(state, joined(ADA, by=crowd[0])) is VoidReason.FULL
    assert over == [Void(VoidReason.FULL)]


def test_only_who_may_remove_removes() -> None:
    state, _ = fold(created(ADA, BOB, CAT, DAN), gave(ADA, BOB, "moderator"), gave(ADA, CAT, "moderator"))

    assert judge(state, left(DAN, by=BOB)) is None
    assert judge(state, left(BOB, by=ADA)) is None
    assert judge(state, left(CAT, by=BOB)) is VoidReason.ROLE_REQUIRED
    assert judge(state, left(ADA, by=BOB)) is VoidReason.ROLE_REQUIRED
    assert judge(state, left(BOB, by=DAN)) is VoidReason.ROLE_REQUIRED
    assert judge(state, left(EVE, by=ADA)) is VoidReason.NO_SUCH_MEMBER


def test_only_owners_give_roles_and_the_last_one_stays() -> None:
    state, _ = fold(created(ADA, BOB))

    assert judge(state, gave(BOB, BOB, "owner")) is VoidReason.ROLE_REQUIRED
    assert judge(state, gave(ADA, ADA, "member")) is VoidReason.LAST_OWNER
    assert judge(state, gave(ADA, CAT, "member")) is VoidReason.NO_SUCH_MEMBER
    assert judge(state, renamed(BOB)) is VoidReason.ROLE_REQUIRED
    assert judge(state, renamed(ADA)) is None


def test_the_longest_standing_moderator_else_member_succeeds_the_last_owner() -> None:
    early = (created(ADA, CAT, BOB), joined(DAN, by=ADA), gave(ADA, DAN, "moderator"))

    _, by_role = fold(*early, left(ADA))
    _, by_age = fold(created(ADA, CAT, BOB), joined(DAN, by=ADA), left(ADA))
    _, not_last = fold(*early, gave(ADA, BOB, "owner"), left(ADA))

    assert by_role[-1] == Placed(also=(ADA,), successor=DAN)
    assert by_age[-1] == Placed(also=(ADA,), successor=BOB)
    assert not_last[-1] == Placed(also=(ADA,), successor=None)


def test_views_are_for_others_only_in_small_chats() -> None:
    small, _ = fold(created(ADA, BOB))
    crowd = [UserId(f"u{n}") for n in range(rules.VIEW_AUDIENCE)]
    large, _ = fold(created(ADA, *crowd))

    assert apply(small, viewed(ADA, 1), offset=Offset(9)) == Placed()
    assert apply(large, viewed(ADA, 1), offset=Offset(9)) == Placed(to_members=False, also=(ADA,))


def test_a_void_announcement_is_for_its_author_member_or_not() -> None:
    state, _ = fold(created(ADA))
    data = MsgVoidData(message=ID, offset=Offset(3), reason="not_member")

    verdict = apply(state, MsgVoid(id=ID, by=BOB, at=AT, chat=CHAT, data=data), offset=Offset(9))

    assert verdict == Placed(to_members=False, also=(BOB,))


def test_every_reason_has_a_problem() -> None:
    assert set(rules.PROBLEM) == set(VoidReason)


people = st.sampled_from(PEOPLE)
histories = st.lists(
    st.one_of(
        st.builds(created, people, people),
        st.builds(said, people),
        st.builds(joined, people),
        st.builds(lambda by, user: joined(user, by=by), people, people),
        st.builds(left, people),
        st.builds(lambda by, user: left(user, by=by), people, people),
        st.builds(gave, people, people, st.sampled_from(["owner", "moderator", "member"])),
        st.builds(renamed, people),
        st.builds(viewed, people, st.integers(1, 9)),
    ),
    max_size=40,
)


@given(st.sampled_from(["group", "room"]), histories)
def test_the_fold_is_total_dense_and_never_without_an_owner(kind: ChatKind, history: Sequence[ChatSignal]) -> None:
    state = ChatState(chat=CHAT)
    seqs: list[int] = []
    for offset, signal in enumerate([created(ADA, BOB, kind=kind), *history], start=1):
        before = copy.deepcopy(state)
        expected = judge(before, signal)

        verdict = apply(state, signal, offset=Offset(offset))

        before.offset = state.offset
        if isinstance(verdict, Void):
            assert expected in {verdict.reason, VoidReason.NOT_MEMBER, VoidReason.NO_CHAT}
            assert state == before
        elif verdict.seq is not None:
            seqs.append(verdict.seq)
        if state.members:
            assert any(member.role == "owner" for member in state.members.values())

    assert seqs == list(range(1, len(seqs) + 1))
    assert state.head_seq == len(seqs)
