"""Routes of markers: how far the caller has read, and been reached."""

from fastapi import APIRouter, Response

from petit.gateway.domain.bodies import MarkerBody
from petit.gateway.handlers.markers import Deliveries, Views
from petit.gateway.http.answers import answer
from petit.gateway.http.operations import IN_CHAT, WRITE, may_answer
from petit.gateway.http.parameters import Caller, ChatOfPath


def add_markers(router: APIRouter, *, views: Views, deliveries: Deliveries) -> None:
    """Add the routes of markers."""

    @router.put(
        "/v1/chats/{chat}/view",
        operation_id="putView",
        status_code=204,
        response_model=None,
        responses=may_answer(WRITE + IN_CHAT),
    )
    async def view(caller: Caller, chat: ChatOfPath, body: MarkerBody) -> Response:
        """Move my read marker forward, never back; one that was coalesced answers without `Petit-Offset`."""
        return answer(None, status=204, offset=await views.view(chat, body.seq, user=caller.user))

    @router.put(
        "/v1/chats/{chat}/delivered",
        operation_id="putDelivered",
        status_code=204,
        response_model=None,
        responses=may_answer(WRITE + IN_CHAT),
    )
    async def delivered(caller: Caller, chat: ChatOfPath, body: MarkerBody) -> Response:
        """Move my delivered marker forward, never back; not in the log, so without `Petit-Offset`."""
        await deliveries.deliver(chat, body.seq, user=caller.user)
        return answer(None, status=204)
