"""What a connection has missed: the pure part of resuming.

A connection that is behind has a cursor; what its person may see above it comes from the ring, and where
the ring does not reach, from pieces of history that were asked of the chat service. `missed` says either
what is lacking to tell, or everything in order, with a gap where one chat had more than the bound.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from petit.contracts.ids import BEFORE_FIRST, ChatId, Offset, Seq, UserId
from petit.contracts.rpc import BACKLOG_LIMIT
from petit.notifier.domain.items import Item
from petit.notifier.domain.people import Person
from petit.notifier.domain.ring import Ring

LIMIT: Final = BACKLOG_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some history of a chat, or of what concerns a person by name: everything in (after, to]."""

    after: Offset
    to: Offset
    items: tuple[Item, ...]
    """Ascending by offset."""
    complete: bool = True
    """Whether nothing was left out before the first item."""
    after_seq: Seq = BEFORE_FIRST
    """Of an incomplete one: the seq behind which history pages what was left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for one connection while it is behind; grows until nothing is lacking."""

    chats: dict[ChatId, Piece] = field(default_factory=dict)
    named: list[Piece] = field(default_factory=list)
    """At most one: the last that was asked."""
    changed: list[tuple[Offset, Offset, frozenset[ChatId]]] = field(default_factory=list)
    """At most one: these chats, and no other, have signals in (after, to]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapIn:
    """A chat had more than the bound: what is in (after, to] must be paged."""

    chat: ChatId
    after: Offset
    to: Offset
    after_seq: Seq
    """History behind this seq leads through it; it may begin somewhat before the gap."""


@dataclass(slots=True, kw_only=True)
class Lacks:
    """What has to be asked before it can be told what was missed."""

    states: set[ChatId] = field(default_factory=set)
    """Chats that have to be held by the mirror."""
    chats: dict[ChatId, Offset] = field(default_factory=dict)
    """Chats whose history is needed above an offset."""
    named: bool = False
    """What concerned the person by name above the cursor."""
    changed: bool = False
    """Which chats had a signal above the cursor."""

    def __bool__(self) -> bool:
        return bool(self.states or self.chats or self.named or self.changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Everything that a connection missed."""

    items: list[Item]
    """Ascending by offset."""
    gaps: list[GapIn]


def missed(
    person: Person,
    *,
    cursor: Offset,
    ring: Ring,
    asked: Asked,
    held: Callable[[ChatId], bool],
    was_live: bool = False,
) -> Missed | Lacks:
    """Say what a person has missed above a cursor, up to what the ring knows, or what is lacking to say it.

    Args:
        asked: What was asked of the chat service so far.
        held: Whether the mirror holds a chat: one that changed must be held, or its next signal comes undecided.
        was_live: The connection was live at its cursor, so that what it missed includes chats that it left since.
    """
    lacks = Lacks(states=set(person.unsure))
    changed = _changed(person, cursor=cursor, ring=ring, asked=asked)
    if changed is None:
        lacks.changed = True
        return lacks
    items: list[Item] = []
    gaps: list[GapIn] = []
    for chat in changed:
        joined = person.chats[chat]
        since = Offset(max(cursor, joined - 1))
        if not held(chat):
            lacks.states.add(chat)
        found = _of_chat(chat, since=since, ring=ring, asked=asked)
        if found is None:
            lacks.chats[chat] = since
            continue
        shown, gap = _bounded(found, chat=chat, since=since, user=person.user, joined=joined)
        items += shown
        if gap is not None:
            gaps.append(gap)
    for chat, joined, ended in person.former if was_live else ():
        if ended <= cursor:
            continue
        found = _of_chat(chat, since=Offset(max(cursor, joined - 1)), ring=ring, asked=asked)
        if found is None:
            lacks.chats[chat] = Offset(max(cursor, joined - 1))
        else:
            items += [item for item in found.items if item.to_members and joined <= item.offset < ended]
    named = _named(person.user, cursor=cursor, ring=ring, asked=asked)
    if named is None:
        lacks.named = True
    else:
        items += named
    if lacks:
        return lacks
    once = {item.offset: item for item in items}  # what names a member is among the chat's signals as well
    return Missed(items=[once[offset] for offset in sorted(once)], gaps=gaps)


def _changed(person: Person, *, cursor: Offset, ring: Ring, asked: Asked) -> Iterable[ChatId] | None:
    if cursor >= ring.heads_after:
        return ring.changed(person.chats, after=cursor)
    for after, to, chats in asked.changed:
        if after <= cursor and to >= ring.heads_after:
            return {*(chats & person.chats.keys()), *ring.changed(person.chats, after=to)}
    return None


def _of_chat(chat: ChatId, *, since: Offset, ring: Ring, asked: Asked) -> Piece | None:
    stretch = ring.chat(chat)
    if ring.complete(chat, after=since):
        return Piece(after=since, to=since, items=tuple(stretch.since(since)) if stretch is not None else ())
    piece = asked.chats.get(chat)
    if piece is None or piece.after > since or not ring.complete(chat, after=piece.to):
        return None
    later = tuple(stretch.since(piece.to)) if stretch is not None else ()
    earlier = tuple(item for item in piece.items if item.offset > since)
    return Piece(
        after=since,
        to=piece.to,
        items=earlier + later,
        complete=piece.complete or len(earlier) < len(piece.items),
        after_seq=piece.after_seq,
    )


def _bounded(
    found: Piece, *, chat: ChatId, since: Offset, user: UserId, joined: Offset
) -> tuple[list[Item], GapIn | None]:
    shown = [item for item in found.items if item.visible(user, since=joined)]
    if len(shown) > LIMIT:
        after_seq = found.after_seq
        if found.complete:
            after_seq = Seq(next((item.seq for item in shown if item.seq is not None), 1) - 1)
        return shown[-LIMIT:], GapIn(chat=chat, after=since, to=shown[-LIMIT - 1].offset, after_seq=after_seq)
    if not found.complete:
        to = Offset(found.items[0].offset - 1)
        return shown, GapIn(chat=chat, after=since, to=to, after_seq=found.after_seq)
    return shown, None


def _named(user: UserId, *, cursor: Offset, ring: Ring, asked: Asked) -> list[Item] | None:
    stretch = ring.named(user)
    if stretch is None:
        return None
    if stretch.after <= cursor:
        return list(stretch.since(cursor))
    for piece in asked.named:
        if piece.after <= cursor and piece.to >= stretch.after:
            return [item for item in piece.items if item.offset > cursor] + list(stretch.since(piece.to))
    return None
