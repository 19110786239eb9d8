"""Who is in a chat: now, and exactly as of an offset, though the rows may be newer.

Nothing holds the tables still while they are read. But everything up to a chat's offset was written before the chat's
row, and intervals are never taken away: so a member whose row is newer than the chat's is looked up among the
intervals. That is nobody, unless a batch is just being written, or the process that wrote it has died.
"""

from typing import Final

from petit.chat.adapters.cql import statements as cql
from petit.chat.adapters.cql.bridge import Row
from petit.chat.adapters.cql.driver import Database
from petit.chat.domain.rows import Chat, ChatRow, MemberRow
from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.rules import ChatState, Member

_PAGE_LEAST: Final = 32
_PAGE_MOST: Final = 256


async def as_of(db: Database, row: ChatRow, state: ChatState, *, found: list[Row]) -> Chat:
    """Return a chat with its members as of its row's offset.

    Args:
        found: The rows of its members, read after its own.
    """
    chat = Chat(state=state, last_offset=row.last_offset, signals=row.signals)
    newer = [user for user, offset, *_ in found if offset > row.offset]
    spans = await db.many(cql.SPAN, [(row.chat, user, row.offset) for user in newer])
    present = [(user, *rest) for user, offset, *rest in found if offset <= row.offset and rest[0]]
    present += [
        (user, *rows[0][:4])
        for user, rows in zip(newer, spans, strict=True)
        if rows and (rows[0][4] is None or rows[0][4] > row.offset)
    ]
    for user, joined_offset, from_offset, role, joined_at in sorted(present, key=lambda one: (one[1], one[0])):
        state.members[user] = Member(role=role, joined_offset=joined_offset, joined_at=joined_at)
        if from_offset != joined_offset:
            chat.since[user] = from_offset
    return chat


async def page(db: Database, chat: ChatId, *, after: tuple[Offset, UserId] | None, limit: int) -> list[MemberRow]:
    """See `Repository.members`.

    The list by joining says who may come next; the members' own rows, in one partition as well, say who is there.
    """
    place: tuple[int, str] = after or (0, "")
    found: list[MemberRow] = []
    while True:
        ask = max(_PAGE_LEAST, min(limit - len(found), _PAGE_MOST))
        listed: list[Row] = await db.rows(cql.JOININGS, (chat, *place, ask))
        if listed:
            rows = await db.rows(cql.MEMBERS_OF, (chat, [user for _, user in listed]))
            there = {(joined, user): (joined, user, *rest) for user, joined, *rest in rows}
            found += [MemberRow(chat, *there[one]) for one in listed if one in there]
        if len(found) >= limit or len(listed) < ask:
            return found[:limit]
        place = listed[-1][0], listed[-1][1]
