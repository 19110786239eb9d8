"""Routes of members: list, invite, remove, give a role."""

from fastapi import APIRouter, Response

from petit.contracts.problems import Code
from petit.contracts.resources import Member, Page
from petit.gateway.domain.bodies import InviteBody, RoleBody
from petit.gateway.handlers.commands import Commands
from petit.gateway.handlers.reads import Reads
from petit.gateway.http.answers import answer
from petit.gateway.http.operations import IN_CHAT, READ, WRITE, may_answer
from petit.gateway.http.parameters import Caller, ChatOfPath, PageOf, UserOfPath


def add_members(router: APIRouter, *, commands: Commands, reads: Reads) -> None:
    """Add the routes of a chat's members."""

    @router.get(
        "/v1/chats/{chat}/members",
        operation_id="listMembers",
        response_model=Page[Member],
        responses=may_answer(READ + IN_CHAT),
    )
    async def members(caller: Caller, chat: ChatOfPath, page: PageOf) -> Response:
        """List members, longest-standing first."""
        found = await reads.members(chat, user=caller.user, page=page)
        return answer(found.body, as_of=found.as_of)

    @router.post(
        "/v1/chats/{chat}/members",
        operation_id="inviteMember",
        status_code=201,
        response_model=Member,
        responses=may_answer(WRITE + IN_CHAT, Code.USER_NOT_FOUND, Code.CONFLICT_STATE, Code.CHAT_FULL),
    )
    async def invite(caller: Caller, chat: ChatOfPath, body: InviteBody) -> Response:
        """Make somebody a member; any member may."""
        member, offset = await commands.invite(chat, body.user, user=caller.user)
        return answer(member, status=201, offset=offset)

    @router.delete(
        "/v1/chats/{chat}/members/{user}",
        operation_id="removeMember",
        status_code=204,
        response_model=None,
        responses=may_answer(WRITE + IN_CHAT, Code.USER_NOT_FOUND, Code.CONFLICT_STATE, Code.ROLE_REQUIRED),
    )
    async def remove(caller: Caller, chat: ChatOfPath, user: UserOfPath) -> Response:
        """Remove a member: owners anyone, moderators members, everybody themselves."""
        return answer(None, status=204, offset=await commands.remove(chat, user, user=caller.user))

    @router.patch(
        "/v1/chats/{chat}/members/{user}",
        operation_id="setRole",
        response_model=Member,
        responses=may_answer(WRITE + IN_CHAT, Code.USER_NOT_FOUND, Code.CONFLICT_STATE, Code.ROLE_REQUIRED),
    )
    async def set_role(caller: Caller, *, chat: ChatOfPath, user: UserOfPath, body: RoleBody) -> Response:
        """Give a member another role; owners may."""
        member, offset = await commands.set_role(chat, user, role=body.role, user=caller.user)
        return answer(member, offset=offset)
