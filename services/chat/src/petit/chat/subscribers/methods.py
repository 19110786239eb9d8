"""What is asked of the chat service: each method by name, its request, and who answers it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from pydantic import ValidationError

from petit.chat.handlers import many_chats, one_chat
from petit.chat.handlers.delivering import Delivering
from petit.chat.handlers.folding import Folding
from petit.chat.handlers.model import Model
from petit.chat.handlers.order import Orders
from petit.chat.handlers.proposing import Proposing
from petit.chat.handlers.states import States
from petit.chat.ports import StoreBroken, StoreDown
from petit.contracts import rpc
from petit.contracts.problems import Code, Refused, Unavailable

A = TypeVar("A", bound=rpc.Ask)
T = TypeVar("T")


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
        except (StoreDown, StoreBroken) as error:  # who finds it broken ends this process, too
            raise Unavailable(f"the read model is down: {error}") from error
        return answer.__pydantic_serializer__.to_json(answer)


def owner_methods(
    model: Model, *, states: States, folding: Folding, proposing: Proposing, delivering: Delivering
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
        "seed": Method(rpc.SeedAsk, partial(one_chat.seed, model, states=states, folding=folding)),
        "backlog": Method(rpc.BacklogAsk, partial(one_chat.backlog, model)),
    }


def any_methods(model: Model) -> Mapping[str, Answering]:
    """Return the short questions that any replica answers, by name: what edges ask while somebody connects or sends."""
    return {
        "sent": Method(rpc.SentAsk, partial(many_chats.sent, model)),
        "memberships": Method(rpc.MembershipsAsk, partial(many_chats.memberships, model)),
        "changed": Method(rpc.ChangedAsk, partial(many_chats.changed, model)),
        "person_backlog": Method(rpc.PersonBacklogAsk, partial(many_chats.person_backlog, model)),
    }


def list_methods(model: Model) -> Mapping[str, Answering]:
    """Return the lists that any replica answers, by name: what people open now and then."""
    return {
        "mine": Method(rpc.MineAsk, partial(many_chats.mine, model, orders=Orders())),
        "rooms": Method(rpc.RoomsAsk, partial(many_chats.rooms, model)),
    }
