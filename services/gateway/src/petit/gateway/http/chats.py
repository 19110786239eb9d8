"""Routes of chats: create, list, change, join and leave, and the rooms that anyone may join."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from petit.contracts.ids import BEFORE_LOG
from petit.contracts.problems import Code
from petit.contracts.resources import Chat, JoinAnswer, Page
from petit.contracts.rpc import ChatAsk
from petit.gateway.domain.bodies import CreateBody, Nothing, UpdateBody
from petit.gateway.handlers.commands import Commands
from petit.gateway.handlers.creating import Creating
from petit.gateway.handlers.reads import Reads
from petit.gateway.http.answers import answer
from petit.gateway.http.operations import IN_CHAT, READ, WRITE, may_answer
from petit.gateway.http.parameters import MAX_PREFIX, Caller, ChatOfPath, MinOffset, PageOf


def add_chats(router: APIRouter, *, creating: Creating, commands: Commands, reads: Reads) -> None:
    """Add the routes of chats and rooms."""

    @router.post(
        "/v1/chats",
        operation_id="createChat",
        status_code=201,
        response_model=Chat,
        responses=may_answer(
            WRITE, Code.USER_NOT_FOUND, Code.CONFLICT_STATE, Code.CHAT_FULL, Code.CLOCK_AHEAD, also={200: Chat}
        ),
    )
    async def create(caller: Caller, body: CreateBody) -> Response:
        """Create a chat; 200 if it was there: the same `id` again, or a dm of the same two people."""
        made = await creating.create(body, user=caller.user)
        return answer(made.body, status=200 if made.repeated else 201, offset=made.offset, as_of=made.as_of)

    @router.get("/v1/chats", operation_id="listMyChats", response_model=Page[Chat], responses=may_answer(READ))
    async def mine(caller: Caller, page: PageOf) -> Response:
        """List my chats, latest activity first; the order stays that of the first page while they are paged."""
        found = await reads.mine(caller.user, page=page)
        return answer(found.body, as_of=found.as_of)

    @router.get("/v1/rooms", operation_id="listRooms", response_model=Page[Chat], responses=may_answer(READ))
    async def rooms(
        caller: Caller,
        page: PageOf,
        q: Annotated[str, Query(max_length=MAX_PREFIX, description="What the title begins with, in any case.")] = "",
    ) -> Response:
        """List the rooms that anyone may join, by title."""
        found = await reads.rooms(caller.user, q, page=page)
        return answer(found.body, as_of=found.as_of)

    @router.get("/v1/chats/{chat}", operation_id="getChat", response_model=Chat, responses=may_answer(READ + IN_CHAT))
    async def one(caller: Caller, chat: ChatOfPath, min_offset: MinOffset = BEFORE_LOG) -> Response:
        """Return one chat; of a listed room anybody may see this much."""
        found = await reads.chats.chat(ChatAsk(chat=chat, viewer=caller.user, min_offset=min_offset))
        return answer(found.body, as_of=found.as_of)

    @router.patch(
        "/v1/chats/{chat}",
        operation_id="updateChat",
        response_model=Chat,
        responses=may_answer(WRITE + IN_CHAT, Code.ROLE_REQUIRED, Code.CONFLICT_STATE),
    )
    async def update(caller: Caller, chat: ChatOfPath, body: UpdateBody) -> Response:
        """Change a chat's title or description; owners and moderators may."""
        written = await commands.update(chat, body, user=caller.user)
        return answer(written.body, offset=written.offset, as_of=written.as_of)

    @router.post(
        "/v1/chats/{chat}/join",
        operation_id="joinChat",
        response_model=JoinAnswer,
        responses=may_answer(WRITE + IN_CHAT, Code.CONFLICT_STATE, Code.CHAT_FULL),
    )
    async def join(caller: Caller, chat: ChatOfPath, _: Nothing | None = None) -> Response:
        """Join a room; a stream from the answer's `cursor` goes on where `recent` ends."""
        joined = await commands.join(chat, user=caller.user)
        return answer(joined.body, offset=joined.offset, as_of=joined.as_of)

    @router.post(
        "/v1/chats/{chat}/leave",
        operation_id="leaveChat",
        status_code=204,
        response_model=None,
        responses=may_answer(WRITE + IN_CHAT, Code.CONFLICT_STATE),
    )
    async def leave(caller: Caller, chat: ChatOfPath, _: Nothing | None = None) -> Response:
        """Leave a group or a room."""
        return answer(None, status=204, offset=await commands.leave(chat, user=caller.user))
