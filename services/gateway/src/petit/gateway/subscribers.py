"""What clients write on a WebSocket: `rpc.gateway.do`, answered by the handlers and limits of REST.

A notifier sends what its clients wrote within a tick as one batch. Each item is validated as the body of its
REST route would be, and answered with what the route would have said.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
from pydantic import ValidationError
from pydantic_core import to_json

from petit.contracts.ids import ChatId, is_uuid
from petit.contracts.problems import Code, Refused
from petit.contracts.resources import dump
from petit.contracts.rpc import Do, DoBatch, Done, DoneItem
from petit.gateway.domain.bodies import Body, MarkerBody, SendBody
from petit.gateway.domain.refusals import invalid_body, no_such_chat, of_write, wrong
from petit.gateway.handlers.markers import Deliveries, Views
from petit.gateway.handlers.sending import Sending
from petit.gateway.ports import Limits

_LOGGER: Final = structlog.get_logger("petit.gateway.do")
_OK: Final = 200
_CREATED: Final = 201
_NO_CONTENT: Final = 204

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """Does what clients ask for on their WebSockets."""

    sending: Sending
    views: Views
    deliveries: Deliveries
    limits: Limits

    async def do(self, batch: DoBatch) -> Done:
        """Do everything in a batch, in the order in which it is there; one failure is one item's."""
        return Done(items=tuple(await asyncio.gather(*(self._answer(item) for item in batch.items))))

    async def _answer(self, item: Do) -> DoneItem:
        try:
            return await self._one(item)
        except Refused as refused:
            refusal = of_write(refused)
        except Exception:
            _LOGGER.exception("do.failed", do=item.do)
            refusal = Refused(Code.INTERNAL, f"{item.do} failed; the operator's log has why")
        return DoneItem(status=refusal.status, body=refusal.problem().model_dump(mode="json", exclude_none=True))

    async def _one(self, item: Do) -> DoneItem:
        budget = self.limits.take("writes", item.user)
        if budget.wait_s:
            raise Refused(Code.RATE_LIMITED, f"more writes than {budget.policy.decode()}", retry_after=budget.wait_s)
        fields: dict[str, Any] = dict(item.body)
        chat = _chat(fields.pop("chat", None))
        match item.do:
            case "send":
                outcome = await self.sending.send(chat, _body(SendBody, fields), user=item.user)
                status = _OK if outcome.repeated else _CREATED
                return DoneItem(status=status, body=dump(outcome.sent), offset=outcome.sent.offset)
            case "view":
                seq = _body(MarkerBody, fields).seq
                return DoneItem(status=_NO_CONTENT, offset=await self.views.view(chat, seq, user=item.user))
            case "delivered":
                await self.deliveries.deliver(chat, _body(MarkerBody, fields).seq, user=item.user)
                return DoneItem(status=_NO_CONTENT)


def _chat(value: object) -> ChatId:
    if not isinstance(value, str):
        raise wrong("/chat", "the id of a chat")
    if not is_uuid(value):
        raise no_such_chat(value)
    return ChatId(value)


def _body(model: type[B], fields: dict[str, Any]) -> B:
    try:
        return model.model_validate_json(to_json(fields))
    except ValidationError as error:
        raise invalid_body(error) from None
