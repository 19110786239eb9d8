"""The chat service over NATS request/reply: the owner of a chat's partition, or any replica."""

from dataclasses import dataclass
from typing import Final, TypeVar

from petit.contracts.ids import ChatId
from petit.contracts.resources import Chat, History, Message
from petit.contracts.rpc import (
    Ask,
    ChatAsk,
    Delivered,
    HistoryAsk,
    MembersAsk,
    MembersPage,
    MessageAsk,
    MineAsk,
    MinePage,
    Propose,
    Proposed,
    RoomsAsk,
    RoomsPage,
    SentAsk,
    SentBefore,
    ViewsPage,
)
from petit.contracts.signals import OpsRules, SessionRevoked
from petit.contracts.subjects import chat_any, chat_owner, partition
from petit.gateway.ports import TRACEPARENT, Found
from petit.kit.connection import Connection
from petit.kit.rpc import PATIENCE_S, ask

T = TypeVar("T")
WITHIN_S: Final = 5.0
"""Seconds in which an answer comes: a partition's owner is replaced within three, and reads wait for two."""


@dataclass(frozen=True, slots=True)
class NatsChats:
    """See `Chats`. Requests are tried again until somebody is there; all of them may be repeated."""

    nc: Connection
    within_s: float = WITHIN_S

    async def propose(self, ask: Propose) -> Found[Proposed]:
        """See `Chats.propose`."""
        chat = None if isinstance(ask.signal, OpsRules | SessionRevoked) else ask.signal.chat
        if chat is None:
            raise ValueError(f"a {ask.signal.type} is no chat's, and nobody decides it")
        return await self._owner(chat, "propose", ask, body=Proposed)

    async def chat(self, ask: ChatAsk) -> Found[Chat]:
        """See `Chats.chat`."""
        return await self._owner(ask.chat, "chat", ask, body=Chat)

    async def members(self, ask: MembersAsk) -> Found[MembersPage]:
        """See `Chats.members`."""
        return await self._owner(ask.chat, "members", ask, body=MembersPage)

    async def history(self, ask: HistoryAsk) -> Found[History]:
        """See `Chats.history`."""
        return await self._owner(ask.chat, "history", ask, body=History)

    async def message(self, ask: MessageAsk) -> Found[Message]:
        """See `Chats.message`."""
        return await self._owner(ask.chat, "message", ask, body=Message)

    async def views(self, ask: MessageAsk) -> Found[ViewsPage]:
        """See `Chats.views`."""
        return await self._owner(ask.chat, "views", ask, body=ViewsPage)

    async def mine(self, ask: MineAsk) -> Found[MinePage]:
        """See `Chats.mine`."""
        return await self._any("mine", ask, body=MinePage)

    async def rooms(self, ask: RoomsAsk) -> Found[RoomsPage]:
        """See `Chats.rooms`."""
        return await self._any("rooms", ask, body=RoomsPage)

    async def sent(self, ask: SentAsk) -> Found[SentBefore]:
        """See `Chats.sent`."""
        return await self._any("sent", ask, body=SentBefore)

    async def delivered(self, ask: Delivered) -> None:
        """See `Chats.delivered`."""
        await self._owner(ask.chat, "delivered", ask, body=dict)

    async def _owner(self, chat: ChatId, method: str, request: Ask, *, body: type[T]) -> Found[T]:
        return await self._ask(chat_owner(partition(chat), method), request, body=body, patience=PATIENCE_S)

    async def _any(self, method: str, request: Ask, *, body: type[T]) -> Found[T]:
        return await self._ask(chat_any(method), request, body=body)

    async def _ask(self, subject: str, request: Ask, *, body: type[T], patience: float | None = None) -> Found[T]:
        trace = TRACEPARENT.get()
        if trace is not None:
            request = request.model_copy(update={"traceparent": trace})
        found, as_of = await ask(self.nc, subject, request, body=body, within=self.within_s, patience=patience)
        return Found(found, as_of)
