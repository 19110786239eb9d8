"""What questions are answered from, and what most of them begin with."""

import json
from dataclasses import dataclass
from typing import Final

from petit.chat.domain.rows import ChatRow, MembershipRow, PersonRow, SignalRow
from petit.chat.handlers.reach import Reach
from petit.chat.ports import Repository
from petit.contracts import resources, rpc
from petit.contracts.ids import ChatId, Seq, UserId
from petit.contracts.problems import Code, Refused
from petit.contracts.signals import Msg, decode

UNREAD_MOST: Final = 100
"""Beyond it nobody counts."""
PAGE_MOST: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The read model, and how far it is."""

    repository: Repository
    reach: Reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A chat that the viewer is in."""

    chat: ChatRow
    me: MembershipRow
    first: Seq
    """The oldest seq that the viewer may see; `chat.head_seq` + 1 where there is none."""


def not_found(chat: ChatId) -> Refused:
    """Return the refusal for a chat that is not there, or not for this viewer: one cannot be told from the other."""
    return Refused(Code.CHAT_NOT_FOUND, f"there is no chat {chat}")


async def enter(model: Model, chat: ChatId, *, viewer: UserId) -> Entered:
    """Return a chat as a member may see it, authorised now.

    Raises:
        Refused: `chat.not_found`: the viewer is not in it.
    """
    me = (await model.repository.membership(viewer, chats=[chat])).get(chat)
    if me is None:
        raise not_found(chat)
    row = (await model.repository.heads([chat])).get(chat)
    if row is None:
        raise not_found(chat)
    return Entered(chat=row, me=me, first=(await first_seen(model, {chat: row}, mine={chat: me}))[chat])


async def first_seen(
    model: Model, heads: dict[ChatId, ChatRow], *, mine: dict[ChatId, MembershipRow]
) -> dict[ChatId, Seq]:
    """Return the oldest seq that a member may see of each chat: 1, or what came since joining where history says so."""
    first = dict.fromkeys(heads, Seq(1))
    for chat, row in heads.items():
        me = mine.get(chat)
        if row.kind == "match" and me is not None and me.joined_offset:
            before = await model.repository.last_messages([chat], at=me.joined_offset)
            if chat in before:
                first[chat] = Seq(before[chat].seq + 1)
    return first


async def describe(model: Model, rows: dict[ChatId, ChatRow], *, viewer: UserId) -> dict[ChatId, resources.Chat]:
    """Return chats as a viewer sees them; rows of chats that were never created are left out.

    Of one that the viewer is not in it is the public face: whether the viewer may see even that, the caller decides.
    What is counted (messages, members) is exactly as of each row's offset. What is read behind the rows is at
    least as new: a marker read before them would count the viewer's own newest message as unread.
    """
    heads = {chat: row for chat, row in rows.items() if row.kind is not None}
    mine = await model.repository.membership(viewer, chats=heads)
    markers = await model.repository.markers([(chat, viewer) for chat in mine])
    first = await first_seen(model, heads, mine=mine)
    tails = [(chat, heads[chat].head_seq) for chat in mine if heads[chat].head_seq >= first[chat]]
    last = await model.repository.messages_at(tails)
    return {
        chat: chat_resource(
            row,
            me=mine.get(chat),
            marker=markers.get((chat, viewer), Seq(0)),
            first=first[chat],
            last=message_resource(last[chat], viewer=viewer) if chat in last else None,
        )
        for chat, row in heads.items()
    }


def chat_resource(
    row: ChatRow,
    *,
    me: MembershipRow | None,
    marker: Seq,
    first: Seq,
    last: resources.Message | None,
) -> resources.Chat:
    """Return a chat as a member sees it; as a visitor does where `me` is None.

    Raises:
        ValueError: there is no such chat.
    """
    if row.kind is None:
        raise ValueError(f"chat {row.chat} was never created")
    # Sending moves my own marker, so whatever is behind my marker is by others: nothing needs to be counted.
    unread = min(UNREAD_MOST, max(0, row.head_seq - max(marker, first - 1))) if me is not None else 0
    return resources.Chat(
        id=row.chat,
        kind=row.kind,
        title=row.title,
        about=row.about,
        history="joined" if row.kind == "match" else "all",
        created_at=row.created_at,
        members_count=row.members_count,
        role=me.role if me is not None else None,
        joined_offset=me.joined_offset if me is not None else None,
        head_seq=row.head_seq,
        marker=marker,
        unread=unread,
        last=last,
    )


def message_resource(row: SignalRow, *, viewer: UserId) -> resources.Message:
    """Return a message as a viewer sees it: its nonce is its author's.

    Raises:
        ValueError: the row is no message.
    """
    signal = decode(row.payload)
    if not isinstance(signal, Msg) or row.seq is None:
        raise ValueError(f"offset {row.offset} is a {signal.type}, not a message")
    return resources.Message(
        id=signal.id,
        seq=row.seq,
        offset=row.offset,
        chat=row.chat,
        by=signal.by,
        at=signal.at,
        text=signal.data.text,
        nonce=signal.nonce if signal.by == viewer else None,
        reply_to=signal.data.reply_to,
        files=signal.data.files,
        mentions=signal.data.mentions,
    )


def placement(row: SignalRow | PersonRow) -> rpc.Placement:
    """Return a stored signal and what the fold made of it."""
    return rpc.Placement(
        offset=row.offset,
        payload=row.payload if isinstance(row.payload, str) else row.payload.decode(),
        seq=row.seq if isinstance(row, SignalRow) else None,
        to_members=row.to_members,
        also=json.loads(row.also) if row.also else (),
        successor=row.successor,
    )


def page(limit: int) -> int:
    """Return how many items a page holds: 1 to 200, whatever was asked."""
    return max(1, min(limit, PAGE_MOST))
