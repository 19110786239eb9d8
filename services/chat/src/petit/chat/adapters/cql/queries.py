"""How questions are answered: each is one partition, or a handful of single rows."""

import heapq
from collections.abc import Collection, Iterable
from itertools import groupby, islice
from typing import Any, Final

from petit.chat.adapters.cql import members
from petit.chat.adapters.cql import statements as cql
from petit.chat.adapters.cql.driver import Database
from petit.chat.adapters.cql.places import SHARDS, key, window
from petit.chat.domain.rows import Chat, ChatRow, MembershipRow, PersonRow, VoidRow
from petit.chat.ports import Listing
from petit.contracts.ids import ChatId, Epoch, Offset, Seq, UserId
from petit.contracts.rules import ChatState

_IN_MOST: Final = 100
"""Rows of one partition that are asked for by name in one question."""


async def epoch(db: Database) -> Epoch | None:
    """See `Repository.epoch`."""
    found = await db.rows(cql.META, ("epoch",))
    return Epoch(found[0][0]) if found else None


async def checkpoints(db: Database) -> dict[int, Offset]:
    """See `Repository.checkpoints`."""
    return {p: Offset(offset) for p, offset in await db.rows(cql.CHECKPOINTS, ())}


async def rules_version(db: Database) -> int:
    """See `Repository.rules_version`."""
    return max((version for (version,) in await db.rows(cql.RULES, ())), default=1)


async def chats(db: Database, ids: Collection[ChatId]) -> dict[ChatId, Chat]:
    """See `Repository.chats`.

    The chat's row is read first. All rows up to its offset are there by then; what is newer is left out.
    """
    rows = (await heads(db, ids)).values()
    there = await db.many(cql.MEMBERS, [(row.chat,) for row in rows])
    return {
        row.chat: await members.as_of(db, row, _state(row), found=found) for row, found in zip(rows, there, strict=True)
    }


async def unannounced(db: Database, partitions: Collection[int]) -> list[VoidRow]:
    """See `Repository.unannounced`."""
    found = await db.many(cql.UNANNOUNCED, [(p,) for p in partitions])
    return sorted((VoidRow._make(row) for rows in found for row in rows), key=lambda row: row.offset)


async def heads(db: Database, ids: Collection[ChatId]) -> dict[ChatId, ChatRow]:
    """See `Repository.heads`."""
    found = await db.many(cql.CHAT, [(chat,) for chat in dict.fromkeys(ids)])
    return {rows[0][0]: ChatRow._make(rows[0]) for rows in found if rows}


async def activity(db: Database, ids: Collection[ChatId]) -> dict[ChatId, Offset]:
    """See `Repository.activity`."""
    return {chat: row.last_offset for chat, row in (await heads(db, ids)).items()}


async def memberships(db: Database, users: Collection[UserId]) -> dict[UserId, dict[ChatId, Offset]]:
    """See `Repository.memberships`."""
    found = await db.many(cql.MEMBERSHIPS, [(key(user),) for user in users])
    return {
        user: {chat: Offset(joined) for chat, joined in rows if joined} for user, rows in zip(users, found, strict=True)
    }


async def membership(db: Database, user: UserId, *, chats: Collection[ChatId]) -> dict[ChatId, MembershipRow]:
    """See `Repository.membership`."""
    found = await db.many(cql.MEMBERSHIPS_IN, [(key(user), some) for some in _some(list(chats))])
    rows = (MembershipRow._make(row) for rows in found for row in rows)
    return {row.chat: row for row in rows if row.joined_offset}


async def person_signals(db: Database, user: UserId, *, after: Offset, to: Offset, limit: int) -> list[PersonRow]:
    """See `Repository.person_signals`.

    A person is named seldom, so there are few windows, each with few rows: the newest are read until it is enough.
    """
    named = key(user)
    found: list[PersonRow] = []
    for (at,) in await db.rows(cql.WINDOWS, (named, window(after), window(to))):
        rows = await db.rows(cql.PERSON, (named, at, after, to, limit - len(found)))
        found += [PersonRow._make(row) for row in rows]
        if len(found) >= limit:
            break
    return found[::-1]


async def markers(
    db: Database, places: Collection[tuple[ChatId, UserId]], *, question: str = cql.MARKERS
) -> dict[tuple[ChatId, UserId], Seq]:
    """See `Repository.markers` and `Repository.delivered`."""
    named = {(chat, key(user)): (chat, user) for chat, user in places}
    asked = [
        (chat, some)
        for chat, group in groupby(sorted(named), key=lambda place: place[0])
        for some in _some([user for _, user in group])
    ]
    found = await db.many(question, asked)
    markers: dict[tuple[ChatId, UserId], Seq] = {}
    for (chat, _), rows in zip(asked, found, strict=True):
        for user, seq in rows:  # of several epochs, the furthest
            place = named[chat, user]
            markers[place] = max(Seq(seq), markers.get(place, Seq(seq)))
    return markers


async def rooms(db: Database, prefix: str, *, after: Listing | None, limit: int) -> list[Listing]:
    """See `Repository.rooms`.

    Each shard may hold the whole page, so each is asked for as many rows, all at once.
    """
    place = max(after or ("", ""), (prefix, ""))
    found = await db.many(cql.LISTINGS, [(shard, *place, limit) for shard in range(SHARDS)])
    listed = heapq.merge(*([Listing._make(row) for row in rows] for rows in found))
    return list(islice((row for row in listed if row.folded.startswith(prefix)), limit))


def _some(names: list[Any]) -> Iterable[list[Any]]:
    return (names[start : start + _IN_MOST] for start in range(0, len(names), _IN_MOST))


def _state(row: ChatRow) -> ChatState:
    return ChatState(
        chat=row.chat,
        offset=row.offset,
        kind=row.kind,
        title=row.title,
        about=row.about,
        created_at=row.created_at,
        head_seq=row.head_seq,
    )
