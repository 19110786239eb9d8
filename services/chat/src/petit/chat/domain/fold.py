"""The fold: one signal of a chat at a time, by the rules that all share, into rows.

It is total. Bytes that are no signal, a signal that is filed under another chat, and whatever breaks a rule at
its place in the log are *void*: kept as they are, with the reason, and without effect.
"""

import json
from typing import Final

from petit.chat.domain.rows import (
    AnnouncedRow,
    Batch,
    Chat,
    MemberEnd,
    MemberRow,
    MembershipRow,
    PersonRow,
    RawRow,
    RoomRow,
    SignalRow,
    VoidRow,
)
from petit.chat.domain.titles import listing
from petit.contracts import rules
from petit.contracts.ids import Offset, Seq, UserId
from petit.contracts.rules import ChatState, Member, Verdict, Void, VoidReason
from petit.contracts.signals import (
    ChatCreated,
    Joined,
    Left,
    Msg,
    MsgVoid,
    OpsRules,
    RoleChanged,
    Signal,
    UndecodableError,
    UnknownSignal,
    View,
    decode,
    decode_of_chat,
)
from petit.contracts.subjects import StoredUnder, partition

_UNASKED: Final = (View, MsgVoid)
"""Signals whose ids nobody retries: markers only move forward, and announcements have ids of their own."""


def fold_chat(chat: Chat, payload: bytes, *, offset: Offset, into: Batch) -> SignalRow:
    """Move a chat over the signal stored at `offset`, which must be later than `chat.state.offset`."""
    state = chat.state
    into.touched[state.chat] = chat
    chat.signals += 1
    signal = decode_of_chat(payload, chat=state.chat)
    if signal is None:
        rules.malformed(state, offset=offset)
        row = SignalRow(offset, state.chat, None, None, None, payload, False, None, None, VoidReason.MALFORMED.value)
        into.signals.append(row)
        return row
    if isinstance(signal, (Msg, View, UnknownSignal)):
        verdict = rules.apply(state, signal, offset=offset)
    else:
        verdict = _fold_members(chat, signal, offset=offset, into=into)
    id, by = (None, None) if isinstance(signal, _UNASKED) else (signal.id, signal.by)
    text = payload.decode()
    if isinstance(verdict, Void):
        void = verdict.reason.value
        row = SignalRow(offset, state.chat, None, id, by, text, False, None, None, void)
        if isinstance(signal, Msg):
            into.voids.append(VoidRow(partition(state.chat), offset, state.chat, signal.id, signal.by, void))
    else:
        also = json.dumps(verdict.also) if verdict.also else None
        row = SignalRow(
            offset, state.chat, verdict.seq, id, by, text, verdict.to_members, also, verdict.successor, None
        )
        _place(chat, signal, row=row, also=verdict.also, into=into)
    into.signals.append(row)
    return row


def fold_other(under: StoredUnder, payload: bytes, *, offset: Offset, into: Batch) -> None:
    """Keep a signal that is no chat's: to one person as a frame for that person, all others as they are."""
    if under.scope == "person":
        try:
            decode(payload)
        except UndecodableError:
            pass
        else:
            user = UserId(under.key)
            row = PersonRow(user, offset, payload.decode(), False, json.dumps([user]), None)
            into.persons.append(row)
            return
    into.raw.append(RawRow(under.scope, under.key, offset, under.kind, payload))


def rules_version(payload: bytes) -> int | None:
    """Return the version of the rules that bytes under `subjects.OPS_RULES` call for; None if they call for none."""
    try:
        signal = decode(payload)
    except UndecodableError:
        return None
    return signal.data.version if isinstance(signal, OpsRules) else None


def _place(chat: Chat, signal: Signal, *, row: SignalRow, also: tuple[UserId, ...], into: Batch) -> None:
    """Write down what a signal that holds has brought about, besides members."""
    state = chat.state
    if isinstance(signal, Msg):
        chat.last_offset = state.offset
        into.markers[state.chat, signal.by] = state.head_seq  # nobody can have read further than the newest message
    elif isinstance(signal, View):
        seq = Seq(min(signal.data.seq, state.head_seq))
        if seq > into.markers.get((state.chat, signal.by), 0):
            into.markers[state.chat, signal.by] = seq
    else:
        into.persons.extend(
            PersonRow(user, row.offset, str(row.payload), row.to_members, row.also, row.successor) for user in also
        )


def _fold_members(chat: Chat, signal: Signal, *, offset: Offset, into: Batch) -> Verdict:
    """Apply a signal that may change who is in the chat, or what it is called, and write down what changed."""
    state = chat.state
    listed = _listing(state)
    user = signal.data.user if isinstance(signal, (Joined, Left, RoleChanged)) else UserId("")
    before = state.members.get(user)
    role = before.role if before is not None else None
    verdict = rules.apply(state, signal, offset=offset)
    if isinstance(verdict, Void):
        return verdict
    match signal:
        case ChatCreated():
            for member in state.members:
                _open(chat, member, offset=offset, into=into)
        case Joined():
            _open(chat, user, offset=offset, into=into)
        case Left() if before is not None:
            _end(chat, user, before, offset=offset, into=into)
            into.memberships[user, state.chat] = MembershipRow(user, state.chat, offset, None, before.role)
            if verdict.successor is not None:
                _change_role(chat, verdict.successor, offset=offset, into=into)
        case RoleChanged() if role != signal.data.role:
            _change_role(chat, user, offset=offset, into=into)
        case MsgVoid(data=data) if data.offset < offset:
            into.announced.append(AnnouncedRow(partition(state.chat), data.offset))
        case _:
            pass
    _list(state, listed, offset=offset, into=into)
    return verdict


def _open(chat: Chat, user: UserId, *, offset: Offset, into: Batch) -> None:
    state = chat.state
    member = state.members[user]
    into.opened.append(MemberRow(state.chat, member.joined_offset, user, offset, member.role, member.joined_at))
    into.memberships[user, state.chat] = MembershipRow(user, state.chat, offset, member.joined_offset, member.role)


def _end(chat: Chat, user: UserId, member: Member, *, offset: Offset, into: Batch) -> None:
    began = chat.since.pop(user, member.joined_offset)
    into.ended.append(MemberEnd(chat.state.chat, member.joined_offset, user, began, offset))


def _change_role(chat: Chat, user: UserId, *, offset: Offset, into: Batch) -> None:
    _end(chat, user, chat.state.members[user], offset=offset, into=into)
    chat.since[user] = offset
    _open(chat, user, offset=offset, into=into)


def _list(state: ChatState, listed: str | None, *, offset: Offset, into: Batch) -> None:
    """Write down under which title a room is found from here on, if that changed."""
    now = _listing(state)
    if listed == now:
        return
    if listed is not None:
        into.rooms[listed, state.chat] = RoomRow(listed, state.chat, offset, listed=False)
    if now is not None:
        into.rooms[now, state.chat] = RoomRow(now, state.chat, offset, listed=True)


def _listing(state: ChatState) -> str | None:
    return listing(state.kind, state.title, members=len(state.members))
