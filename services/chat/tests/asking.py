"""What an edge does: write to the log, propose, and ask. Over a real nats-server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from petit.chat.app import Chat, Options, chat
from petit.contracts import resources, rpc
from petit.contracts.ids import ChatId, Offset, Seq, SignalId, Timestamp, UserId, timestamp
from petit.contracts.signals import (
    AnySignal,
    ChatCreated,
    ChatCreatedData,
    ChatKind,
    Joined,
    JoinedData,
    Left,
    LeftData,
    Msg,
    MsgData,
    Signal,
    View,
    ViewData,
    encode,
)
from petit.contracts.subjects import chat_any, chat_owner, chat_signal, partition
from petit.kit.clock import SystemClock
from petit.kit.connection import Connection, connect
from petit.kit.ids import Uuid7Maker
from petit.kit.log import Log
from petit.kit.natsserver import NatsServer
from petit.kit.rpc import ask

T = TypeVar("T")
WITHIN_S = 10.0


@dataclass(slots=True)
class Edge:
    """Somebody who asks the chat service, and writes to the log."""

    nc: Connection
    log: Log
    make_id: Uuid7Maker = field(default_factory=lambda: Uuid7Maker(SystemClock()))

    def id(self) -> SignalId:
        """Return an id that nobody has."""
        return SignalId(str(self.make_id()))

    def chat_id(self) -> ChatId:
        """Return the id of a chat to be."""
        return ChatId(str(self.make_id()))

    async def store(self, signal: Signal, chat: ChatId) -> Offset:
        """Write a signal to the log, as a gateway does."""
        msg_id = f"{signal.by}:{signal.id}"
        return Offset((await self.log.append(chat_signal(chat, signal.type), encode(signal), msg_id=msg_id)).offset)

    async def say(
        self, chat: ChatId, text: str, *, by: str, id: SignalId | None = None, nonce: str | None = None
    ) -> Offset:
        """Send a message."""
        data = MsgData(text=text)
        msg = Msg(id=id or self.id(), by=UserId(by), at=now(), nonce=nonce, chat=chat, data=data)
        return await self.store(msg, chat)

    async def view(self, chat: ChatId, seq: int, *, by: str) -> Offset:
        """Move somebody's read marker."""
        data = ViewData(seq=Seq(seq))
        return await self.store(View(id=self.id(), by=UserId(by), at=now(), chat=chat, data=data), chat)

    async def owner(self, method: str, request: rpc.ChatAsk, *, body: type[T]) -> T:
        """Ask the owner of a chat's partition."""
        return await self.about(request.chat, method, request, body=body)

    async def about(self, chat: ChatId, method: str, request: rpc.Ask, *, body: type[T]) -> T:
        """Ask the owner of a chat's partition something that is about no viewer."""
        answer, _ = await ask(self.nc, chat_owner(partition(chat), method), request, body=body, within=WITHIN_S)
        return answer

    async def any(self, method: str, request: rpc.Ask, *, body: type[T]) -> T:
        """Ask any replica."""
        answer, _ = await ask(self.nc, chat_any(method), request, body=body, within=WITHIN_S)
        return answer

    async def propose(self, signal: AnySignal, chat: ChatId) -> rpc.Proposed:
        """Propose a signal."""
        return await self.about(chat, "propose", rpc.Propose(signal=signal), body=rpc.Proposed)

    async def create(
        self, kind: ChatKind, *people: str, title: str | None = "Title", chat: ChatId | None = None
    ) -> ChatId:
        """Create a chat; the first of the people is its owner."""
        chat = chat or self.chat_id()
        by, *members = map(UserId, people)
        data = ChatCreatedData(kind=kind, title=title, members=tuple(members))
        proposed = await self.propose(ChatCreated(id=self.id(), by=by, at=now(), chat=chat, data=data), chat)
        assert proposed.void is None
        return chat

    async def join(self, chat: ChatId, user: str, *, by: str | None = None) -> rpc.Proposed:
        """Join a room, or let somebody be invited."""
        data = JoinedData(user=UserId(user), how="invite" if by else "join")
        signal = Joined(id=self.id(), by=UserId(by or user), at=now(), chat=chat, data=data)
        return await self.propose(signal, chat)

    async def leave(self, chat: ChatId, user: str, *, by: str | None = None) -> rpc.Proposed:
        """Leave a chat, or have somebody removed."""
        data = LeftData(user=UserId(user), how="removed" if by else "leave")
        signal = Left(id=self.id(), by=UserId(by or user), at=now(), chat=chat, data=data)
        return await self.propose(signal, chat)

    async def history(self, chat: ChatId, viewer: str, **place: int) -> resources.History:
        """Read a stretch of a chat."""
        request = rpc.HistoryAsk.model_validate({"chat": chat, "viewer": viewer, **place})
        return await self.owner("history", request, body=resources.History)

    async def chat(self, chat: ChatId, viewer: str, *, min_offset: int = 0) -> resources.Chat:
        """Read one chat."""
        request = rpc.ChatAsk(chat=chat, viewer=UserId(viewer), min_offset=Offset(min_offset))
        return await self.owner("chat", request, body=resources.Chat)


def now() -> Timestamp:
    """Return the time as the wire spells it."""
    return timestamp(time.time_ns() // 1_000_000)


async def eventually(condition: Callable[[], bool], *, within: float = WITHIN_S) -> None:
    """Wait until something holds; fail if it does not in so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def edge_of(server: NatsServer) -> AsyncIterator[Edge]:
    """Connect to a server."""
    async with await connect(server.access, name="edge") as nc:
        yield Edge(nc, Log(nc))


@asynccontextmanager
async def replica_of(server: NatsServer, store: Path, *, name: str = "chat-0") -> AsyncIterator[Chat]:
    """Run one chat replica."""
    options = Options(nats=server.access, store=store, replica=name)
    async with chat(options) as replica:
        yield replica
