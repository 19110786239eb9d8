"""What clients write on a WebSocket: `rpc.gateway.do`, answered by the handlers and limits of REST.

A notifier sends what its clients wrote within a tick as one batch. Each item is validated as the body of its
REST route would be, and answered with what the route would have said.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog
from pydantic import ValidationError

from petit.contracts.ids import ChatId, UserId, is_uuid
from petit.contracts.problems import Code, Refused, wrong
from petit.contracts.rpc import Do, DoBatch, Done, DoneItem
from petit.gateway.domain.bodies import Frame, MarkerFrame, SendFrame
from petit.gateway.domain.refusals import invalid_body, no_such_chat, of_write
from petit.gateway.handlers.markers import Deliveries, Views
from petit.gateway.handlers.sending import Sending
from petit.gateway.ports import Limits

_LOGGER: Final = structlog.get_logger("petit.gateway.do")
_OK: Final = 200
_CREATED: Final = 201
_NO_CONTENT: Final = 204

F = TypeVar("F", bound=Frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """Does what clients ask for on their WebSockets."""

    sending: Sending
    views: Views
    deliveries: Deliveries
    limits: Limits

    async def do(self, batch: DoBatch) -> Done:
        """Do everything in a batch; one failure is one item's. What one person wrote is stored in that order."""
        lines: defaultdict[UserId, list[int]] = defaultdict(list)
        for place, item in enumerate(batch.items):
            lines[item.user].append(place)
        done: dict[int, DoneItem] = {}
        await asyncio.gather(*(self._line(batch.items, places, into=done) for places in lines.values()))
        return Done(items=tuple(done[place] for place in range(len(batch.items))))

    async def _line(self, items: Sequence[Do], places: Sequence[int], *, into: dict[int, DoneItem]) -> None:
        """Do what one person wrote: each begins when the one before is on its way to the log, or done."""
        under_way: list[asyncio.Task[DoneItem]] = []
        for place in places[:-1]:
            going = asyncio.Event()
            under_way.append(asyncio.create_task(self._begin(items[place], going)))
            await going.wait()
        into[places[-1]] = await self._answer(items[places[-1]])
        for place, task in zip(places, under_way, strict=False):  # the last one is no task
            into[place] = await task

    async def _begin(self, item: Do, going: asyncio.Event) -> DoneItem:
        try:
            return await self._answer(item, on_append=going.set)
        finally:
            going.set()

    async def _answer(self, item: Do, *, on_append: Callable[[], None] | None = None) -> DoneItem:
        try:
            return await self._one(item, on_append=on_append)
        except Refused as refused:
            refusal = of_write(refused)
        except Exception:
            _LOGGER.exception("do.failed", do=item.do)
            refusal = Refused(Code.INTERNAL, f"{item.do} failed; the operator's log has why")
        return DoneItem(status=refusal.status, body=refusal.problem().model_dump_json(exclude_none=True))

    async def _one(self, item: Do, *, on_append: Callable[[], None] | None) -> DoneItem:
        self.limits.take("writes", item.user).spend()
        match item.do:
            case "send":
                message = _frame(SendFrame, item)
                outcome = await self.sending.send(
                    _chat(message.chat), message, user=item.user, spare=item.id, on_append=on_append
                )
                sent = outcome.sent
                body = sent.__pydantic_serializer__.to_json(sent).decode()
                return DoneItem(status=_OK if outcome.repeated else _CREATED, body=body, offset=sent.offset)
            case "view":
                marker = _frame(MarkerFrame, item)
                stored = await self.views.view(_chat(marker.chat), marker.seq, user=item.user)
                return DoneItem(status=_NO_CONTENT, offset=stored)
            case "delivered":
                marker = _frame(MarkerFrame, item)
                await self.deliveries.deliver(_chat(marker.chat), marker.seq, user=item.user)
                return DoneItem(status=_NO_CONTENT)


def _chat(value: object) -> ChatId:
    if not isinstance(value, str):
        raise wrong("/chat", "the id of a chat")
    if not is_uuid(value):
        raise no_such_chat(value)
    return ChatId(value)


def _frame(model: type[F], item: Do) -> F:
    try:
        return model.model_validate_json(item.text)
    except ValidationError as error:
        raise invalid_body(error) from None
