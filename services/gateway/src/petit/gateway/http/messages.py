"""Routes of messages: history, one, and who has seen it. Sending is in `http.send`."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from petit.contracts.ids import BEFORE_LOG, Seq
from petit.contracts.problems import Code, FieldError, invalid
from petit.contracts.resources import History, Message, Page, SeenBy
from petit.contracts.rpc import HistoryAsk, MessageAsk
from petit.gateway.domain.bodies import MAX_INTEGER
from petit.gateway.handlers.reads import Reads
from petit.gateway.http.answers import answer
from petit.gateway.http.operations import IN_CHAT, READ, may_answer
from petit.gateway.http.parameters import Caller, ChatOfPath, Decimal, Limit, MessageOfPath, MinOffset, PageOf

_From1 = Annotated[Annotated[Seq, Field(ge=1, le=MAX_INTEGER), Decimal] | None, Query()]
_From0 = Annotated[Annotated[Seq, Field(ge=0, le=MAX_INTEGER), Decimal] | None, Query()]


def add_messages(router: APIRouter, *, reads: Reads) -> None:
    """Add the routes that read messages."""

    @router.get(
        "/v1/chats/{chat}/messages",
        operation_id="listMessages",
        response_model=History,
        responses=may_answer(READ + IN_CHAT),
    )
    async def history(  # noqa: PLR0913 - one for each parameter of the query
        caller: Caller,
        *,
        chat: ChatOfPath,
        before: _From1 = None,
        after: _From0 = None,
        around: _From1 = None,
        at: _From1 = None,
        limit: Limit = 50,
        min_offset: MinOffset = BEFORE_LOG,
    ) -> Response:
        """Return a stretch of history, ascending by `seq`; the newest where no place is given."""
        places = (("before", before), ("after", after), ("around", around), ("at", at))
        given = [name for name, place in places if place is not None]
        if len(given) > 1:
            raise invalid(FieldError(pointer=f"?{name}", detail="only one place may be given") for name in given)
        ask = HistoryAsk(
            chat=chat,
            viewer=caller.user,
            before=before,
            after=after,
            around=around,
            at=at,
            limit=limit,
            min_offset=min_offset,
        )
        found = await reads.chats.history(ask)
        return answer(found.body, as_of=found.as_of)

    @router.get(
        "/v1/chats/{chat}/messages/{message}",
        operation_id="getMessage",
        response_model=Message,
        responses=may_answer(READ + IN_CHAT, Code.MESSAGE_NOT_FOUND),
    )
    async def one(
        caller: Caller, *, chat: ChatOfPath, message: MessageOfPath, min_offset: MinOffset = BEFORE_LOG
    ) -> Response:
        """Return one message."""
        found = await reads.chats.message(
            MessageAsk(chat=chat, viewer=caller.user, message=message, min_offset=min_offset)
        )
        return answer(found.body, as_of=found.as_of)

    @router.get(
        "/v1/chats/{chat}/messages/{message}/views",
        operation_id="listViews",
        response_model=Page[SeenBy],
        responses=may_answer(READ + IN_CHAT, Code.MESSAGE_NOT_FOUND),
    )
    async def views(caller: Caller, *, chat: ChatOfPath, message: MessageOfPath, page: PageOf) -> Response:
        """List who has seen a message and who has had it delivered, by user id."""
        found = await reads.views(chat, message, user=caller.user, page=page)
        return answer(found.body, as_of=found.as_of)
