"""A person's chats as a local copy that is kept true by the stream: equal, at any time, to what a fresh read shows.

async with LocalState(client) as state:
    async for signal in state:       # each signal has been applied when it is handed out
        print(state.chats[signal.chat].chat.unread)
"""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

from petit.client.chatcopy import WINDOW, ChatCopy, apply
from petit.client.client import Client
from petit.client.errors import CursorExpired, NotFound
from petit.client.stream import Stream, Transport
from petit.contracts.cursor import Cursor
from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.resources import Chat, Gap, History, Member, Page, SignalFrame

_PAGE: Final = 200
_AT_ONCE: Final = 8
"""Chats that are loaded at the same time."""


class LocalState:
    """One device's picture of its person's chats.

    Args:
        client: Whose.
        transport: What the stream goes over.
        details: Hold the members and the newest messages of each chat, too; without, only what lists show.
    """

    def __init__(self, client: Client, *, transport: Transport = "sse", details: bool = True) -> None:
        self._client = client
        self._transport = transport
        self._details = details
        self._stream: Stream | None = None
        self.me = UserId("")
        self.chats: dict[ChatId, ChatCopy] = {}
        self.snapshots = 0
        """How often everything was read afresh: once at the start, and after each expired cursor."""

    async def __aenter__(self) -> Self:
        """Connect and read everything.

        Raises:
            ApiProblem: the server refuses.
        """
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            await self._stream.__aexit__(kind, error, trace)

    @property
    def cursor(self) -> str | None:
        """How far the state is."""
        return self._stream.cursor if self._stream is not None else None

    async def __aiter__(self) -> AsyncIterator[SignalFrame]:
        """Apply signals as they come, and hand each out when it is applied.

        Raises:
            RuntimeError: the state was not entered.
        """
        while True:
            if self._stream is None:
                raise RuntimeError("a state is entered first: `async with LocalState(client) as state`")
            try:
                async for frame in self._stream.frames():
                    if isinstance(frame.data, Gap):
                        # A gap is wider than the window that we hold: what a fresh read shows is all there is to know.
                        await self._load(frame.data.chat, min_offset=frame.data.to_offset)
                    elif isinstance(frame.data, SignalFrame):
                        await self._apply(frame.data)
                        yield frame.data
            except CursorExpired:
                await self._stream.__aexit__(None, None, None)
                await self._begin()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    async def _begin(self) -> None:
        # The stream first, then the reads, at least as new as its beginning: what lies between comes twice, never not.
        self._stream = await self._client.stream(transport=self._transport).__aenter__()
        if self._stream.hello is None or self._stream.cursor is None:
            raise RuntimeError("a stream that was entered has said hello")
        self.me = self._stream.hello.user
        # The one place where a client reads a cursor; contracts.cursor is its definition.
        start = Cursor.parse(self._stream.cursor).offset
        chats: dict[ChatId, ChatCopy] = {}
        cursor: str | None = None
        while True:
            answer = await self._client.fetch("/v1/chats", limit=_PAGE, cursor=cursor, min_offset=start)
            page = Page[Chat].model_validate_json(answer.content)
            chats |= {chat.id: ChatCopy(chat=chat, chat_as_of=answer.as_of) for chat in page.items}
            cursor = page.next
            if cursor is None:
                break
        self.chats = chats
        self.snapshots += 1
        if self._details:
            await self._load_details(start)

    async def _load_details(self, min_offset: Offset) -> None:
        permits = asyncio.Semaphore(_AT_ONCE)

        async def load(copy: ChatCopy) -> None:
            async with permits:
                try:
                    await self._load_parts(copy, min_offset=min_offset)
                except NotFound:  # left meanwhile
                    self.chats.pop(copy.id, None)

        async with asyncio.TaskGroup() as tasks:
            for copy in list(self.chats.values()):
                tasks.create_task(load(copy))

    async def _load(self, chat: ChatId, *, min_offset: Offset) -> None:
        """Read one chat afresh; forget it if it is not ours any more."""
        try:
            answer = await self._client.fetch(f"/v1/chats/{chat}", min_offset=min_offset)
            copy = ChatCopy(chat=Chat.model_validate_json(answer.content), chat_as_of=answer.as_of)
            if self._details:
                await self._load_parts(copy, min_offset=min_offset)
        except NotFound:
            self.chats.pop(chat, None)
            return
        if copy.chat.role is None:  # a room's public face
            self.chats.pop(chat, None)
            return
        if chat in self.chats:
            copy.markers = self.chats[chat].markers
        self.chats[chat] = copy

    async def _load_parts(self, copy: ChatCopy, *, min_offset: Offset) -> None:
        path = f"/v1/chats/{copy.id}"
        answer = await self._client.fetch(f"{path}/messages", limit=WINDOW, min_offset=min_offset)
        history = History.model_validate_json(answer.content)
        copy.messages, copy.messages_as_of = list(history.items), answer.as_of
        copy.reaches_start = not history.items or history.items[0].seq <= history.first_seq
        members: dict[UserId, Member] = {}
        oldest: Offset | None = None
        cursor: str | None = None
        while True:
            answer = await self._client.fetch(f"{path}/members", limit=_PAGE, cursor=cursor, min_offset=min_offset)
            page = Page[Member].model_validate_json(answer.content)
            members |= {member.user: member for member in page.items}
            oldest = answer.as_of if oldest is None else min(oldest, answer.as_of)
            cursor = page.next
            if cursor is None:
                break
        copy.members, copy.members_as_of = members, oldest

    # ── applying ─────────────────────────────────────────────────────────────────────────────────

    async def _apply(self, signal: SignalFrame) -> None:
        if signal.chat is None or signal.data is None:
            return
        copy = self.chats.get(signal.chat)
        if self._is_my_beginning(signal):
            if copy is None or copy.chat_as_of < signal.offset:
                await self._load(signal.chat, min_offset=signal.offset)
        elif copy is None:
            return
        elif signal.type == "left" and signal.data["user"] == self.me:
            if copy.chat_as_of < signal.offset:
                del self.chats[signal.chat]
        else:
            apply(copy, signal, me=self.me)

    def _is_my_beginning(self, signal: SignalFrame) -> bool:
        data = signal.data or {}
        if signal.type == "joined":
            return bool(data["user"] == self.me)
        return signal.type == "chat.created"
