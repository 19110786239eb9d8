"""Questions about one chat, answered by the owner of its partition."""

import heapq
from typing import Final

from petit.chat.domain.rows import SignalRow
from petit.chat.domain.windows import window
from petit.chat.handlers.folding import Folding
from petit.chat.handlers.model import (
    Model,
    describe,
    enter,
    message_resource,
    not_found,
    page,
    placement,
)
from petit.chat.handlers.states import States
from petit.contracts import resources, rpc
from petit.contracts.ids import BEFORE_FIRST, Seq
from petit.contracts.problems import Code, Refused
from petit.contracts.subjects import partition

_MEMORY_S: Final = 1.0
"""How long a seed waits for the fold in memory; then for the read model."""


async def chat(model: Model, ask: rpc.ChatAsk) -> rpc.Answer[resources.Chat]:
    """Answer one chat: to its members, and the public face of a room that has somebody in it to anyone.

    It counts exactly what is in the log up to its `as_of`, so that a device can count on from there.

    Raises:
        Refused: `chat.not_found`, `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=partition(ask.chat))
    rows = await model.repository.heads([ask.chat])
    found = (await describe(model, rows, viewer=ask.viewer)).get(ask.chat)
    if found is None or (found.role is None and (found.kind != "room" or not found.members_count)):
        raise not_found(ask.chat)
    return rpc.Answer[resources.Chat](as_of=max(as_of, rows[ask.chat].offset), body=found)


async def members(model: Model, ask: rpc.MembersAsk) -> rpc.Answer[rpc.MembersPage]:
    """Answer a page of members, longest-standing first.

    Raises:
        Refused: `chat.not_found`, `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=partition(ask.chat))
    await enter(model, ask.chat, viewer=ask.viewer)
    limit = page(ask.limit)
    rows = await model.repository.members(ask.chat, after=ask.after, limit=limit + 1)
    items = tuple(resources.Member(user=row.user, role=row.role, joined_at=row.joined_at) for row in rows[:limit])
    more = (rows[limit - 1].joined_offset, rows[limit - 1].user) if len(rows) > limit else None
    return rpc.Answer[rpc.MembersPage](as_of=as_of, body=rpc.MembersPage(items=items, next=more))


async def history(model: Model, ask: rpc.HistoryAsk) -> rpc.Answer[resources.History]:
    """Answer a stretch of the chat; void messages never were.

    Nothing in the answer is above its `as_of`, so that a stream from there on neither leaves out nor repeats any.

    Raises:
        Refused: `chat.not_found`, `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=partition(ask.chat))
    entered = await enter(model, ask.chat, viewer=ask.viewer)
    head = entered.chat.head_seq
    asked = window(ask.model_copy(update={"limit": page(ask.limit)}), first=entered.first, head=head)
    rows = []
    if asked.first <= asked.last:
        rows = await model.repository.messages(ask.chat, first=asked.first, last=asked.last)
    body = resources.History(
        items=tuple(message_resource(row, viewer=ask.viewer) for row in rows),
        head_seq=head,
        first_seq=entered.first if entered.first <= head else Seq(0),
    )
    return rpc.Answer[resources.History](as_of=max(as_of, entered.chat.offset), body=body)


async def message(model: Model, ask: rpc.MessageAsk) -> rpc.Answer[resources.Message]:
    """Answer one message.

    Raises:
        Refused: `chat.not_found`, `message.not_found`, `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=partition(ask.chat))
    entered = await enter(model, ask.chat, viewer=ask.viewer)
    row, _ = await _visible(model, ask, first=entered.first)
    return rpc.Answer[resources.Message](as_of=as_of, body=message_resource(row, viewer=ask.viewer))


async def views(model: Model, ask: rpc.MessageAsk, *, states: States) -> rpc.Answer[rpc.ViewsPage]:
    """Answer who has seen a message, by user id; its author is left out.

    Raises:
        Refused: `chat.not_found`, `message.not_found`, `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=partition(ask.chat))
    entered = await enter(model, ask.chat, viewer=ask.viewer)
    row, seq = await _visible(model, ask, first=entered.first)
    limit = page(ask.limit)
    present = (await states.load([ask.chat]))[ask.chat].state.members
    after = ask.after or ""
    users = heapq.nsmallest(limit + 1, (user for user in present if user > after and user != row.by))
    places = [(ask.chat, user) for user in users[:limit]]
    seen = await model.repository.markers(places)
    delivered = await model.repository.delivered(places)
    items = tuple(
        resources.SeenBy(
            user=user,
            seen=seen.get((chat, user), 0) >= seq,
            delivered=max(seen.get((chat, user), 0), delivered.get((chat, user), 0)) >= seq,
        )
        for chat, user in places
    )
    more = users[limit - 1] if len(users) > limit else None
    return rpc.Answer[rpc.ViewsPage](as_of=as_of, body=rpc.ViewsPage(items=items, next=more))


async def seed(model: Model, ask: rpc.SeedAsk, *, states: States, folding: Folding) -> rpc.Answer[rpc.Seed]:
    """Answer a chat's whole state; it may be ahead of `as_of`, and says so in `offset`.

    A chat that is held in memory is answered from there, so that streams begin while the store is down, too.

    Raises:
        Refused: `read.behind`.
    """
    as_of = ask.min_offset
    held = states.get(ask.chat)
    if held is not None:
        folded = await folding.reaches(as_of, partition=partition(ask.chat), within=_MEMORY_S)
        held = states.get(ask.chat) if folded else None
    if held is None:
        as_of = await model.reach.ready(ask.min_offset, partition=partition(ask.chat))
        held = (await states.load([ask.chat]))[ask.chat]
    state = held.state
    body = rpc.Seed(
        chat=ask.chat,
        offset=state.offset,
        kind=state.kind,
        title=state.title,
        about=state.about,
        created_at=state.created_at,
        head_seq=state.head_seq,
        members=tuple(
            rpc.SeedMember(user=user, role=member.role, joined_offset=member.joined_offset, joined_at=member.joined_at)
            for user, member in state.members.items()
        ),
    )
    return rpc.Answer[rpc.Seed](as_of=max(as_of, state.offset), body=body)


async def backlog(model: Model, ask: rpc.BacklogAsk) -> rpc.Answer[rpc.Backlog]:
    """Answer the newest signals of a stretch, for streams that resume.

    Raises:
        Refused: `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=partition(ask.chat))
    rows = await model.repository.signals(ask.chat, after=ask.after, to=ask.to, limit=ask.limit + 1)
    before = await model.repository.last_messages([ask.chat], at=ask.after)
    body = rpc.Backlog(
        items=tuple(placement(row) for row in rows[-ask.limit :]),
        complete=len(rows) <= ask.limit,
        after_seq=before[ask.chat].seq if ask.chat in before else BEFORE_FIRST,
    )
    return rpc.Answer[rpc.Backlog](as_of=as_of, body=body)


async def _visible(model: Model, ask: rpc.MessageAsk, *, first: Seq) -> tuple[SignalRow, Seq]:
    """Return a message of a chat, and its seq.

    Raises:
        Refused: `message.not_found`: there is none with this id, or it is older than what the viewer may see.
    """
    row = await model.repository.message(ask.chat, id=ask.message)
    if row is None or row.seq is None or row.seq < first:
        raise Refused(Code.MESSAGE_NOT_FOUND, f"chat {ask.chat} has no message {ask.message}")
    return row, row.seq
