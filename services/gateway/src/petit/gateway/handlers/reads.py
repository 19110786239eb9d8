"""Reading: questions to chat, and the cursors of its lists."""

from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from petit.contracts.ids import BEFORE_LOG, ChatId, Offset, SignalId, UserId
from petit.contracts.problems import wrong
from petit.contracts.resources import Chat, Member, Page, Person, SeenBy
from petit.contracts.rpc import MembersAsk, MessageAsk, MineAsk, RoomsAsk
from petit.gateway.domain import paging
from petit.gateway.handlers.people import People
from petit.gateway.ports import Chats, Found

_MINE: Final = TypeAdapter(tuple[Offset, Offset, ChatId])
"""The order's offset, then the last chat's activity and id."""
_ROOM: Final = TypeAdapter(tuple[str, ChatId])
_MEMBER: Final = TypeAdapter(tuple[Offset, UserId])
_USER: Final = TypeAdapter(tuple[UserId])
_WORD: Final = TypeAdapter(tuple[str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which page of a list, and how fresh."""

    cursor: str | None
    """As `next` of the page before; None for the first."""
    limit: int
    """1 to 200."""
    min_offset: Offset
    """What the answer must reflect; 0 for whatever there is."""


@dataclass(frozen=True, slots=True)
class Reads:
    """Lists, page by page."""

    chats: Chats
    people: People

    async def mine(self, user: UserId, *, page: Slice) -> Found[Page[Chat]]:
        """The caller's chats, in the order of the first page's `as_of`.

        Raises:
            Refused: `read.behind`, or a cursor of another list.
            Unavailable: nobody answers.
        """
        of = f"mine {user}"
        place = _place(page, _MINE, of=of)
        found = await self.chats.mine(
            MineAsk(
                viewer=user,
                ordered_at=place[0] if place else BEFORE_LOG,
                after=place[1:] if place else None,
                limit=page.limit,
                min_offset=page.min_offset,
            )
        )
        last = None if found.body.next is None else (found.body.ordered_at, *found.body.next)
        return Found(Page[Chat](items=found.body.items, next=_next(last, of=of)), found.as_of)

    async def rooms(self, user: UserId, prefix: str, *, page: Slice) -> Found[Page[Chat]]:
        """Rooms that anyone may join, by title.

        Raises:
            Refused: `read.behind`, or a cursor of another list.
            Unavailable: nobody answers.
        """
        of = f"rooms {prefix}"
        found = await self.chats.rooms(
            RoomsAsk(
                viewer=user,
                prefix=prefix,
                after=_place(page, _ROOM, of=of),
                limit=page.limit,
                min_offset=page.min_offset,
            )
        )
        return Found(Page[Chat](items=found.body.items, next=_next(found.body.next, of=of)), found.as_of)

    async def members(self, chat: ChatId, *, user: UserId, page: Slice) -> Found[Page[Member]]:
        """A chat's members, longest-standing first.

        Raises:
            Refused: `chat.not_found`, `read.behind`, or a cursor of another list.
            Unavailable: nobody answers.
        """
        of = f"members {chat}"
        found = await self.chats.members(
            MembersAsk(
                chat=chat,
                viewer=user,
                after=_place(page, _MEMBER, of=of),
                limit=page.limit,
                min_offset=page.min_offset,
            )
        )
        return Found(Page[Member](items=found.body.items, next=_next(found.body.next, of=of)), found.as_of)

    async def views(self, chat: ChatId, message: SignalId, *, user: UserId, page: Slice) -> Found[Page[SeenBy]]:
        """Who has seen a message, by user id.

        Raises:
            Refused: `chat.not_found`, `message.not_found`, `read.behind`, or a cursor of another list.
            Unavailable: nobody answers.
        """
        of = f"views {message}"
        place = _place(page, _USER, of=of)
        found = await self.chats.views(
            MessageAsk(
                chat=chat,
                viewer=user,
                message=message,
                after=place[0] if place else None,
                limit=page.limit,
                min_offset=page.min_offset,
            )
        )
        last = None if found.body.next is None else (found.body.next,)
        return Found(Page[SeenBy](items=found.body.items, next=_next(last, of=of)), found.as_of)

    async def users(self, prefix: str, *, page: Slice) -> Page[Person]:
        """People whose username begins so, by username.

        Raises:
            Refused: a cursor of another list.
            Unavailable: the directory does not answer.
        """
        of = f"users {prefix}"
        place = _place(page, _WORD, of=of)
        found = await self.people.directory.find(prefix, after=place[0] if place else None, limit=page.limit)
        return Page[Person](items=found.items, next=_next(None if found.next is None else (found.next,), of=of))


def _place(page: Slice, shape: TypeAdapter[paging.T], *, of: str) -> paging.T | None:
    if page.cursor is None:
        return None
    try:
        return paging.place(page.cursor, shape, of=of)
    except paging.BadWord:
        raise wrong("?cursor", "not a cursor of this list") from None


def _next(place: tuple[object, ...] | None, *, of: str) -> str | None:
    return None if place is None else paging.word(place, of=of)
