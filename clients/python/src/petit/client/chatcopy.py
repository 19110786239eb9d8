"""A local copy of one chat, moved on by signals.

A copy is made of three reads (the chat, its members, its newest messages), each of which reflects the log
at least up to an offset of its own. A signal changes only those parts that are older than it is, and nothing is
counted twice that a read had in it already, so it does not matter how reads and stream overlap: the copy ends up
as a fresh read would be. (A copy without members that comes from a list knows no better than its ±1: a `joined`
that the list was ahead of counts again.)
"""

from dataclasses import dataclass, field
from typing import Any, Final

from petit.client.gaps import as_message
from petit.contracts.ids import ChatId, Offset, Seq, UserId
from petit.contracts.resources import Chat, Member, Message, SignalFrame

UNREAD_CAP: Final = 100
"""As the API counts."""
WINDOW: Final = 200
"""Newest messages that a copy holds; never fewer than `UNREAD_CAP`."""


@dataclass(slots=True, kw_only=True)
class ChatCopy:
    """One chat as its member sees it. Only `apply` and the loader change it."""

    chat: Chat
    chat_as_of: Offset
    members: dict[UserId, Member] = field(default_factory=dict)
    """Longest-standing first."""
    members_as_of: Offset | None = None
    """None: members are not held."""
    messages: list[Message] = field(default_factory=list)
    """The newest ones, ascending by seq."""
    messages_as_of: Offset | None = None
    """None: messages are not held."""
    reaches_start: bool = False
    """There is no older message than those held."""
    markers: dict[UserId, Seq] = field(default_factory=dict)
    """How far others have read, as far as the stream said."""

    @property
    def id(self) -> ChatId:
        """The chat's id."""
        return self.chat.id


def apply(copy: ChatCopy, signal: SignalFrame, *, me: UserId) -> None:
    """Move a copy over one signal of its chat; one that the copy reflects already changes nothing."""
    data = signal.data or {}
    if copy.messages_as_of is not None and signal.offset > copy.messages_as_of:
        copy.messages_as_of = signal.offset
        _apply_to_messages(copy, signal)
    if copy.members_as_of is not None and signal.offset > copy.members_as_of:
        copy.members_as_of = signal.offset
        _apply_to_members(copy.members, signal, data=data)
    if signal.offset > copy.chat_as_of:
        copy.chat_as_of = signal.offset
        copy.chat = copy.chat.model_copy(update=_changes(copy, signal, data=data, me=me))
    if signal.type == "view" and signal.by != me:
        copy.markers[signal.by] = max(copy.markers.get(signal.by, Seq(0)), Seq(data["seq"]))


def _apply_to_messages(copy: ChatCopy, signal: SignalFrame) -> None:
    if signal.type != "msg":
        return
    if signal.seq is not None and copy.messages and signal.seq <= copy.messages[-1].seq:
        return  # the read had it already
    copy.messages.append(as_message(signal))
    if len(copy.messages) > WINDOW:
        del copy.messages[:-WINDOW]
        copy.reaches_start = False


def _apply_to_members(members: dict[UserId, Member], signal: SignalFrame, *, data: dict[str, Any]) -> None:
    match signal.type:
        case "joined":
            members.pop(data["user"], None)  # a page read later may have had it: the place is the newest
            members[data["user"]] = Member(user=data["user"], role="member", joined_at=signal.at)
        case "left":
            members.pop(data["user"], None)
            _set_role(members, data.get("owner"), role="owner")
        case "role":
            _set_role(members, data["user"], role=data["role"])
        case _:
            pass


def _set_role(members: dict[UserId, Member], user: UserId | None, *, role: str) -> None:
    if user is not None and user in members:
        members[user] = members[user].model_copy(update={"role": role})


def _changes(copy: ChatCopy, signal: SignalFrame, *, data: dict[str, Any], me: UserId) -> dict[str, object]:
    chat = copy.chat
    match signal.type:
        case "msg" if signal.seq is None or signal.seq <= chat.head_seq:
            return {}  # the read had it already
        case "msg":
            changes: dict[str, object] = {"head_seq": signal.seq, "last": as_message(signal)}
            if signal.by == me:
                return {**changes, "marker": signal.seq, "unread": 0}
            return {**changes, "unread": min(UNREAD_CAP, chat.unread + 1)}
        case "chat.updated":
            return {name: data[name] for name in ("title", "about") if name in data}
        case "joined":
            return {"members_count": _members_count(copy, moved=1)}
        case "left":
            role = {"role": "owner"} if data.get("owner") == me else {}
            return {"members_count": _members_count(copy, moved=-1), **role}
        case "role" if data["user"] == me:
            return {"role": data["role"]}
        case "view" if signal.by == me and data["seq"] > chat.marker:
            marker = Seq(min(data["seq"], chat.head_seq))
            return {"marker": marker, "unread": _unread(copy, marker=marker, me=me)}
        case _:
            return {}


def _members_count(copy: ChatCopy, *, moved: int) -> int:
    return copy.chat.members_count + moved if copy.members_as_of is None else len(copy.members)


def _unread(copy: ChatCopy, *, marker: Seq, me: UserId) -> int:
    """Count what is visible after a marker.

    Nothing after my marker is mine, because sending moves it; so what a full window does not reach is over the cap.
    """
    if marker >= copy.chat.head_seq:
        return 0
    held_from = copy.messages[0].seq if copy.messages else Seq(0)
    if copy.messages_as_of is None:
        return min(UNREAD_CAP, copy.chat.head_seq - marker)
    if marker + 1 < held_from and not copy.reaches_start:
        return UNREAD_CAP
    return min(UNREAD_CAP, sum(message.seq > marker and message.by != me for message in copy.messages))
