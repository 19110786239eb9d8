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
    MessageRow,
    PersonRow,
    RawRow,
    RoomRow,
    SentRow,
    SignalRow,
    VoidRow,
)
from petit.chat.domain.titles import folded
from petit.contracts import rules
from petit.contracts.ids import ChatId, Offset, Seq, UserId
from petit.contracts.rules import ChatState, Member, Placed, Verdict, Void, VoidReason
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
    digest,
)
from petit.contracts.subjects import StoredUnder, partition

_UNSENT: Final = (View, MsgVoid)
"""Signals whose ids nobody retries: markers only move forward, and announcements have ids of their own."""


def fold_chat(chat: Chat, payload: bytes, *, offset: Offset, into: Batch) -> Verdict:
    """Move a chat over the signal stored at `offset`, which must be later than `chat.state.offset`."""
    state = chat.state
    into.touched[state.chat] = chat
    signal = read(payload, chat=state.chat)
    if signal is None:
        verdict = rules.malformed(state, offset=offset)
        into.signals.append(
            SignalRow(state.chat, offset, payload, None, False, None, None, VoidReason.MALFORMED),
        )
        return verdict
    if isinstance(signal, (Msg, View, UnknownSignal)):
        verdict = rules.apply(state, signal, offset=offset)
    else:
        verdict = _fold_members(chat, signal, offset=offset, into=into)
    text = payload.decode()
    if isinstance(verdict, Placed):
        also = json.dumps(verdict.also) if verdict.also else None
        into.signals.append(
            SignalRow(state.chat, offset, text, verdict.seq, verdict.to_members, also, verdict.successor, None),
        )
        if isinstance(signal, Msg):
            _place_message(chat, signal, into=into)
        elif isinstance(signal, View):
            _mark(state, signal.by, seq=Seq(min(signal.data.seq, state.head_seq)), into=into)
        elif also is not None:
            into.persons.extend(
                PersonRow(user, offset, text, verdict.to_members, also, verdict.successor) for user in verdict.also
            )
        seq, void = verdict.seq, None
    else:
        seq, void = None, verdict.reason.value
        into.signals.append(SignalRow(state.chat, offset, text, None, False, None, None, void))
        if isinstance(signal, Msg):
            into.voids.append(VoidRow(partition(state.chat), offset, state.chat, signal.id, signal.by, void))
    if not isinstance(signal, _UNSENT):
        into.sent.append(
            SentRow(signal.by, signal.id, offset, state.chat, seq, signal.at, digest(signal), signal.nonce, void),
        )
    return verdict


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


def read(payload: bytes, *, chat: ChatId) -> Signal | None:
    """Return the signal of a chat that the bytes hold; None if they hold none, or one that is not this chat's."""
    try:
        signal = decode(payload)
    except UndecodableError:
        return None
    return signal if getattr(signal, "chat", None) == chat else None


def rules_version(payload: bytes) -> int | None:
    """Return the version of the rules that bytes under `subjects.OPS_RULES` call for; None if they call for none."""
    try:
        signal = decode(payload)
    except UndecodableError:
        return None
    return signal.data.version if isinstance(signal, OpsRules) else None


def listing(state: ChatState) -> str | None:
    """Return the title under which anyone can find a chat; None unless it is a room with somebody in it."""
    return folded(state.title or "") if state.kind == "room" and state.members else None


def _place_message(chat: Chat, signal: Msg, *, into: Batch) -> None:
    state, data = chat.state, signal.data
    chat.last_offset = state.offset
    into.messages.append(
        MessageRow(
            state.chat,
            state.head_seq,
            state.offset,
            signal.id,
            signal.by,
            signal.at,
            data.text,
            signal.nonce,
            data.reply_to,
            json.dumps(data.files) if data.files else None,
            json.dumps(data.mentions) if data.mentions else None,
        )
    )
    into.markers[state.chat, signal.by] = state.head_seq  # nobody can have read further than the newest message


def _mark(state: ChatState, user: UserId, *, seq: Seq, into: Batch) -> None:
    if seq > into.markers.get((state.chat, user), 0):
        into.markers[state.chat, user] = seq


def _fold_members(chat: Chat, signal: Signal, *, offset: Offset, into: Batch) -> Verdict:
    """Apply a signal that may change who is in the chat, or what it is called, and write down what changed."""
    state = chat.state
    listed = listing(state)
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
    now = listing(state)
    if listed == now:
        return
    if listed is not None:
        into.rooms[listed, state.chat] = RoomRow(listed, state.chat, offset, listed=False)
    if now is not None:
        into.rooms[now, state.chat] = RoomRow(now, state.chat, offset, listed=True)
