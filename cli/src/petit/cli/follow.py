"""`petit tail`: what happens, line by line, as it happens; resumes by itself whatever breaks."""

import sys
from dataclasses import dataclass
from typing import Final

from petit.cli import show
from petit.cli.session import Session, acting
from petit.cli.talk import Asked
from petit.client.stream import Transport
from petit.contracts.cursor import Cursor
from petit.contracts.ids import Offset
from petit.contracts.resources import SignalFrame

_RENAMING: Final = frozenset({"chat.updated", "chat.created"})


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """Where to begin, and when to stop."""

    chat: str | None
    """Only this chat's; None: all of mine."""
    cursor: str | None
    since_start: bool
    """Everything that the log ever held for me."""
    count: int | None
    """Stop after so many lines; None: never."""
    transport: Transport


async def tail(asked: Asked, begin: From) -> None:
    """Print signals as they come; at the end, say where to resume."""
    async with acting(asked.who) as session:
        chat = None if begin.chat is None else await session.chat(begin.chat)
        cursor = begin.cursor
        if begin.since_start:
            async with session.client.stream(transport=begin.transport) as probe:
                cursor = str(Cursor(Cursor.parse(probe.cursor or "").epoch, Offset(0)))
        left = begin.count
        async with session.client.stream(cursor, transport=begin.transport) as stream:
            try:
                async for signal in stream:
                    if chat is not None and signal.chat != chat:
                        continue
                    if asked.json:
                        show.record(signal, cursor=stream.cursor)
                    elif (text := await describe(session, signal, with_chat=chat is None)) is not None:
                        show.line(text)
                    else:
                        continue
                    if left is not None:
                        left -= 1
                        if left <= 0:
                            return
            finally:
                if not asked.json and stream.cursor is not None and sys.stderr.isatty():
                    sys.stderr.write(f"\nresume with --cursor {stream.cursor}\n")


async def describe(session: Session, signal: SignalFrame, *, with_chat: bool) -> str | None:
    """Return a line that tells of a signal; None for one that says nothing to a reader."""
    data = signal.data or {}
    if signal.type in _RENAMING and signal.chat is not None:
        session.forget_title(signal.chat)
    by = await session.name_of(signal.by)
    match signal.type:
        case "msg":
            what = f"{show.styled(by, 'name')}: {show.clean(data.get('text', ''))}"
        case "joined" if data["user"] == signal.by:
            what = show.styled(f"{by} joined", "soft")
        case "joined":
            what = show.styled(f"{by} invited {await session.name_of(data['user'])}", "soft")
        case "left" if data["user"] == signal.by:
            what = show.styled(f"{by} left", "soft")
        case "left":
            what = show.styled(f"{by} removed {await session.name_of(data['user'])}", "soft")
        case "role":
            what = show.styled(f"{by} made {await session.name_of(data['user'])} {data['role']}", "soft")
        case "chat.created":
            what = show.styled(f"{by} created this {data['kind']}", "soft")
        case "chat.updated":
            what = show.styled(f"{by} changed the {' and the '.join(data)}", "soft")
        case "msg.void":
            what = show.styled(f"a message of yours was not accepted: {data['reason']}", "bad")
        case _:
            return None
    where = f"{show.clean(await session.title_of_id(signal.chat))} " if with_chat and signal.chat else ""
    return f"{show.styled(show.clock_time(signal.at), 'soft')} {where}{what}"
