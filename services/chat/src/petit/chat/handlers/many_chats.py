"""Questions over many chats, answered by any replica once all partitions are folded far enough."""

from petit.chat.domain.rows import ChatRow
from petit.chat.domain.titles import folded
from petit.chat.handlers.model import Model, describe, page, placement
from petit.chat.handlers.order import Orders
from petit.chat.ports import Listing, Repository
from petit.contracts import rpc
from petit.contracts.ids import ChatId, Offset
from petit.contracts.signals import decode, digest


async def mine(model: Model, ask: rpc.MineAsk, *, orders: Orders) -> rpc.Answer[rpc.MinePage]:
    """Answer a page of the viewer's chats, latest activity first, in the order that they had at `ordered_at`.

    Raises:
        Refused: `read.behind`.
    """
    as_of = await model.reach.ready(max(ask.min_offset, ask.ordered_at), partition=None)
    at = ask.ordered_at or as_of
    limit = page(ask.limit)
    order = await orders.order(model.repository, ask.viewer, at=at)
    places = order.after(ask.after, limit=limit + 1)
    heads = await model.repository.heads([chat for _, chat in places[:limit]])
    found = await describe(model, heads, viewer=ask.viewer)
    items = tuple(found[chat] for _, chat in places[:limit] if chat in found and found[chat].role is not None)
    more = places[limit - 1] if len(places) > limit else None
    return rpc.Answer[rpc.MinePage](as_of=as_of, body=rpc.MinePage(items=items, ordered_at=at, next=more))


async def rooms(model: Model, ask: rpc.RoomsAsk) -> rpc.Answer[rpc.RoomsPage]:
    """Answer a page of listed rooms, by title.

    The place of the next page is that of the last room shown: it tells nobody of one that is not.

    Raises:
        Refused: `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=None)
    limit = page(ask.limit)
    found = await _listed(model.repository, ask, limit=limit + 1)
    shown = await describe(model, {listing.chat: row for listing, row in found[:limit]}, viewer=ask.viewer)
    more = found[limit - 1][0] if len(found) > limit else None
    return rpc.Answer[rpc.RoomsPage](as_of=as_of, body=rpc.RoomsPage(items=tuple(shown.values()), next=more))


async def _listed(repository: Repository, ask: rpc.RoomsAsk, *, limit: int) -> list[tuple[Listing, ChatRow]]:
    """Return rooms by title whose own rows say that they are listed so; more are read only where one says otherwise."""
    found: list[tuple[Listing, ChatRow]] = []
    place = Listing(*ask.after) if ask.after else None
    while len(found) < limit:
        listings = await repository.rooms(folded(ask.prefix), after=place, limit=limit)
        heads = await repository.heads([listing.chat for listing in listings])
        found += [
            (one, heads[one.chat]) for one in listings if one.chat in heads and heads[one.chat].listed == one.folded
        ]
        if len(listings) < limit:
            break
        place = listings[-1]
    return found[:limit]


async def sent(model: Model, ask: rpc.SentAsk) -> rpc.Answer[rpc.SentBefore]:
    """Answer what became of a person's signal.

    Raises:
        Refused: `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=None)
    row = await model.repository.sent(ask.user, id=ask.id)
    body = rpc.SentBefore(found=False)
    if row is not None:
        signal = decode(row.payload)
        body = rpc.SentBefore(
            found=True, offset=row.offset, at=signal.at, chat=row.chat, digest=digest(signal), nonce=signal.nonce
        )
    return rpc.Answer[rpc.SentBefore](as_of=as_of, body=body)


async def memberships(model: Model, ask: rpc.MembershipsAsk) -> rpc.Answer[rpc.Memberships]:
    """Answer which chats people are in now.

    Raises:
        Refused: `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=None)
    users = await model.repository.memberships(ask.users)
    return rpc.Answer[rpc.Memberships](as_of=as_of, body=rpc.Memberships(users=users))


async def changed(model: Model, ask: rpc.ChangedAsk) -> rpc.Answer[rpc.Changed]:
    """Answer which chats have a signal after an offset; void ones count.

    Raises:
        Refused: `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=None)
    rows = await model.repository.heads(ask.chats)
    chats: dict[ChatId, Offset] = {chat: row.offset for chat, row in rows.items() if row.offset > ask.after}
    return rpc.Answer[rpc.Changed](as_of=as_of, body=rpc.Changed(chats=chats))


async def person_backlog(model: Model, ask: rpc.PersonBacklogAsk) -> rpc.Answer[rpc.Backlog]:
    """Answer the newest signals of a stretch that name a person.

    Raises:
        Refused: `read.behind`.
    """
    as_of = await model.reach.ready(ask.min_offset, partition=None)
    rows = await model.repository.person_signals(ask.user, after=ask.after, to=ask.to, limit=ask.limit + 1)
    items = tuple(placement(row) for row in rows[-ask.limit :])
    return rpc.Answer[rpc.Backlog](as_of=as_of, body=rpc.Backlog(items=items, complete=len(rows) <= ask.limit))
