"""Requests over NATS, to the handlers: those to the owner of a partition, and those that any replica answers.

An owner's requests come in on one subject a partition, subscribed while this replica holds its lease. The questions
over many chats share a queue group. All of them are plain callbacks of `petit.kit.rpc`: docs/adr, "FastStream's
place", says what it would cost here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, NoReturn, Protocol, TypeVar

from nats.aio.msg import Msg
from pydantic import ValidationError

from petit.chat.handlers import many_chats, one_chat
from petit.chat.handlers.delivering import Delivering
from petit.chat.handlers.model import Model
from petit.chat.handlers.order import Orders
from petit.chat.handlers.proposing import Proposing
from petit.chat.handlers.reach import Reach
from petit.chat.handlers.states import States
from petit.chat.ports import StoreDown
from petit.contracts import rpc
from petit.contracts.problems import Code, Refused, Unavailable
from petit.contracts.subjects import CHAT_QUEUE, FOLDED, chat_any, chat_owner
from petit.kit.connection import Connection
from petit.kit.rpc import Service, serve

A = TypeVar("A", bound=rpc.Ask)
T = TypeVar("T")
IN_FLIGHT = 2_048
"""Requests that one partition, or the questions over many chats, work on at once: a thousand joins wait together."""


class Answering(Protocol):
    """Turns a request's bytes into the answer's."""

    async def __call__(self, payload: bytes) -> bytes:
        """Answer a request."""
        ...


@dataclass(frozen=True, slots=True)
class Method(Generic[A, T]):
    """One method of the chat service: what is asked, and who answers it."""

    ask: type[A]
    answer: Callable[[A], Awaitable[rpc.Answer[T]]]

    async def __call__(self, payload: bytes) -> bytes:
        """Decode the request, answer it and encode the answer.

        Raises:
            Refused: whatever the handler refuses, and `request.invalid` for bytes that are no such request.
            Unavailable: the store is down.
        """
        try:
            ask = self.ask.model_validate_json(payload)
        except ValidationError as error:
            raise Refused(Code.REQUEST_INVALID, f"no {self.ask.__name__}: {error.error_count()} errors") from None
        try:
            answer = await self.answer(ask)
        except StoreDown as error:
            raise Unavailable(f"the read model is down: {error}") from error
        return answer.__pydantic_serializer__.to_json(answer)


def owner_methods(
    model: Model, *, states: States, proposing: Proposing, delivering: Delivering
) -> Mapping[str, Answering]:
    """Return the methods of a partition's owner, by name."""
    return {
        "propose": Method(rpc.Propose, proposing.propose),
        "chat": Method(rpc.ChatAsk, partial(one_chat.chat, model)),
        "members": Method(rpc.MembersAsk, partial(one_chat.members, model)),
        "history": Method(rpc.HistoryAsk, partial(one_chat.history, model)),
        "message": Method(rpc.MessageAsk, partial(one_chat.message, model)),
        "views": Method(rpc.MessageAsk, partial(one_chat.views, model, states=states)),
        "delivered": Method(rpc.Delivered, delivering.deliver),
        "seed": Method(rpc.SeedAsk, partial(one_chat.seed, model, states=states)),
        "backlog": Method(rpc.BacklogAsk, partial(one_chat.backlog, model)),
    }


def any_methods(model: Model) -> Mapping[str, Answering]:
    """Return the methods of any replica, by name."""
    return {
        "mine": Method(rpc.MineAsk, partial(many_chats.mine, model, orders=Orders())),
        "rooms": Method(rpc.RoomsAsk, partial(many_chats.rooms, model)),
        "sent": Method(rpc.SentAsk, partial(many_chats.sent, model)),
        "memberships": Method(rpc.MembershipsAsk, partial(many_chats.memberships, model)),
        "changed": Method(rpc.ChangedAsk, partial(many_chats.changed, model)),
        "person_backlog": Method(rpc.PersonBacklogAsk, partial(many_chats.person_backlog, model)),
    }


async def handle(methods: Mapping[str, Answering], subject: str, payload: bytes) -> bytes:
    """Answer the request to the method that a subject ends with.

    Raises:
        Refused: there is no such method, or it refuses.
    """
    name = subject.rpartition(".")[2]
    if name not in methods:
        raise Refused(Code.REQUEST_INVALID, f"the chat service has no method {name}")
    return await methods[name](payload)


async def serve_any(nc: Connection, methods: Mapping[str, Answering]) -> Service:
    """Take part in answering the questions over many chats."""
    return await serve(nc, chat_any("*"), partial(handle, methods), queue=CHAT_QUEUE, concurrency=IN_FLIGHT)


async def listen(nc: Connection, reach: Reach) -> None:
    """Learn from the other replicas how far they have folded."""

    async def on_folded(msg: Msg) -> None:
        try:
            note = rpc.Folded.model_validate_json(msg.data)
        except ValidationError:
            return  # not from a replica of ours
        reach.advance(note.partitions, to=note.offset)

    await nc.subscribe(FOLDED, cb=on_folded)


class Owning:
    """Answers the requests to partitions for as long as this replica owns them."""

    def __init__(self, nc: Connection, methods: Mapping[str, Answering]) -> None:
        self._nc = nc
        self._methods = methods
        self._owned: frozenset[int] = frozenset()
        self._services: dict[int, Service] = {}
        self._woken = asyncio.Event()

    def on_change(self, gained: frozenset[int], lost: frozenset[int]) -> None:
        """Take what the leases say."""
        self._owned = (self._owned | gained) - lost
        self._woken.set()

    async def run(self) -> NoReturn:
        """Subscribe and unsubscribe until cancelled."""
        async with asyncio.TaskGroup() as stopping:
            while True:
                await self._woken.wait()
                self._woken.clear()
                for p in self._services.keys() - self._owned:
                    stopping.create_task(self._services.pop(p).stop(), name=f"owning.stop {p}")
                for p in sorted(self._owned - self._services.keys()):
                    subject = chat_owner(p, "*")
                    handler = partial(handle, self._methods)
                    self._services[p] = await serve(self._nc, subject, handler, concurrency=IN_FLIGHT)

    async def stop(self) -> None:
        """Take no more requests, and finish those taken, within seconds; once `run` is over."""
        await asyncio.gather(*(service.stop() for service in self._services.values()))
        self._services.clear()
