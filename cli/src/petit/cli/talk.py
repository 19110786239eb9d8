"""What people do with chats: `send`, `chats`, `rooms`, `create`, `join`, `leave`, `invite`, `members`, `history`."""

from collections.abc import Sequence
from dataclasses import dataclass

from petit.cli import show
from petit.cli.session import Session, Who, acting
from petit.client import Conflict, NotFound, every
from petit.client.client import Kind
from petit.contracts.resources import Chat, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every command of these is told."""

    who: Who
    json: bool
    """One JSON object a line instead of text."""


async def send(asked: Asked, *, chat: str, text: str, id: str | None) -> None:
    """Send a message and say where it is stored."""
    async with acting(asked.who) as session:
        chat_id, message = await session.chat(chat), id or session.client.new_id()
        try:
            sent = await session.client.send(chat_id, text, id=message)
        except NotFound:
            if not chat.startswith("@"):
                raise
            await session.client.create_chat("dm", members=[(await session.person(chat)).id])
            sent = await session.client.send(chat_id, text, id=message)
    if asked.json:
        show.record(sent)
    else:
        show.line(f"sent {sent.id} at offset {sent.offset}")


async def chats(asked: Asked, *, limit: int) -> None:
    """List my chats, latest activity first."""
    async with acting(asked.who) as session:
        left = limit
        async for chat in every(lambda cursor: session.client.chats(cursor=cursor, limit=min(200, limit))):
            await _show_chat(session, chat, json=asked.json)
            left -= 1
            if not left:
                return


async def rooms(asked: Asked, *, prefix: str, limit: int) -> None:
    """List rooms that anyone may join, by title."""
    async with acting(asked.who) as session:
        left = limit
        async for chat in every(lambda cursor: session.client.rooms(prefix, cursor=cursor, limit=min(200, limit))):
            if asked.json:
                show.record(chat)
            else:
                mine = "" if chat.role is None else f"  {chat.role}"
                show.line(f"{chat.members_count:>6}  {show.clean(chat.title or '')}{show.styled(mine, 'soft')}")
            left -= 1
            if not left:
                return


async def create(asked: Asked, *, kind: Kind, title: str | None, people: Sequence[str]) -> None:
    """Create a chat."""
    async with acting(asked.who) as session:
        members = [(await session.person(name)).id for name in people]
        chat = await session.client.create_chat(kind, title=title, members=members)
        await _show_one(session, chat, json=asked.json, did="created")


async def join(asked: Asked, *, room: str) -> None:
    """Join a room and show its last messages."""
    async with acting(asked.who) as session:
        chat = await session.room(room)
        try:
            answer = await session.client.join(chat)
        except Conflict:  # a member already
            await _show_one(session, await session.client.chat(chat), json=asked.json, did="already in")
            return
        if asked.json:
            show.record(answer)
            return
        await _show_one(session, answer.chat, json=False, did="joined")
        for message in answer.recent:
            await show_message(session, message, json=False)


async def leave(asked: Asked, *, chat: str) -> None:
    """Leave a chat."""
    async with acting(asked.who) as session:
        chat_id = await session.chat(chat)
        await session.client.leave(chat_id)
    if asked.json:
        show.record({"chat": chat_id, "left": True})
    else:
        show.line(f"left {chat}")


async def invite(asked: Asked, *, chat: str, people: Sequence[str]) -> None:
    """Make people members of a chat."""
    async with acting(asked.who) as session:
        chat_id = await session.chat(chat)
        for name in people:
            member = await session.client.invite(chat_id, (await session.person(name)).id)
            if asked.json:
                show.record(member)
            else:
                show.line(f"{name} is in {chat} now")


async def members(asked: Asked, *, chat: str) -> None:
    """List the members of a chat, longest-standing first."""
    async with acting(asked.who) as session:
        chat_id = await session.chat(chat)
        async for member in every(lambda cursor: session.client.members(chat_id, cursor=cursor, limit=200)):
            if asked.json:
                show.record(member)
            else:
                show.line(f"{member.role:<10} {await session.name_of(member.user)}")


async def history(asked: Asked, *, chat: str, limit: int) -> None:
    """Show the newest messages of a chat, oldest first."""
    async with acting(asked.who) as session:
        chat_id = await session.chat(chat)
        pages: list[tuple[Message, ...]] = []
        left, before = limit, None
        while left > 0:
            page = await session.client.history(
                chat_id, anchor="before" if before else None, seq=before, limit=min(200, left)
            )
            pages.append(page.items)
            left -= len(page.items)
            if not page.items or page.items[0].seq <= page.first_seq:
                break
            before = page.items[0].seq
        for items in reversed(pages):
            for message in items:
                await show_message(session, message, json=asked.json)


async def show_message(session: Session, message: Message, *, json: bool) -> None:
    """Print one message."""
    if json:
        show.record(message)
        return
    author = show.styled(await session.name_of(message.by), "name")
    show.line(f"{show.styled(show.clock_time(message.at), 'soft')} {author}: {show.clean(message.text)}")


async def _show_chat(session: Session, chat: Chat, *, json: bool) -> None:
    if json:
        show.record(chat)
        return
    unread = show.styled(f"{'99+' if chat.unread >= 100 else chat.unread or '':>4}", "loud")  # noqa: PLR2004 - the API's cap
    title = show.styled(f"{show.clean(await session.title_of(chat)):<24}", "name")
    last = "" if chat.last is None else f"{await session.name_of(chat.last.by)}: {show.clean(chat.last.text)[:60]}"
    show.line(f"{unread}  {title} {last}")


async def _show_one(session: Session, chat: Chat, *, json: bool, did: str) -> None:
    if json:
        show.record(chat)
    else:
        show.line(f"{did} {show.clean(await session.title_of(chat))}  {show.styled(chat.id, 'soft')}")
