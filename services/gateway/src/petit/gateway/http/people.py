"""Routes of people: myself, by username, by id."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from petit.contracts.ids import BEFORE_LOG, Offset
from petit.contracts.problems import Code, Refused
from petit.contracts.resources import Me, Page, Person
from petit.gateway.handlers.reads import Reads
from petit.gateway.http.answers import answer
from petit.gateway.http.operations import READ, may_answer
from petit.gateway.http.parameters import MAX_PREFIX, Caller, MinOffset, PageOf, UserOfPath
from petit.gateway.ports import Feed

_WAIT_S: Final = 2.0
"""Seconds that a read waits for `min_offset`."""


def add_people(router: APIRouter, *, reads: Reads, feed: Feed) -> None:
    """Add the routes of people."""

    async def reached(min_offset: Offset) -> Offset:
        """Wait until this process has read the log that far; people themselves are not in it (yet)."""
        if feed.position < min_offset and not await feed.wait_for(min_offset, within=_WAIT_S):
            raise Refused(
                Code.READ_BEHIND,
                f"offset {min_offset} is beyond {feed.position}, where this read stands",
                retry_after=1,
            )
        return Offset(feed.position)

    @router.get("/v1/me", operation_id="getMe", response_model=Me, responses=may_answer(READ))
    async def me(caller: Caller, min_offset: MinOffset = BEFORE_LOG) -> Response:
        """Return myself, with my roles."""
        as_of = await reached(min_offset)
        myself = Me(id=caller.user, username=caller.username, name=caller.name, roles=tuple(sorted(caller.roles)))
        return answer(myself, as_of=as_of)

    @router.get("/v1/users", operation_id="listUsers", response_model=Page[Person], responses=may_answer(READ))
    async def users(
        _: Caller,
        page: PageOf,
        username: Annotated[
            str, Query(max_length=MAX_PREFIX, description="What the username begins with, in any case.")
        ] = "",
    ) -> Response:
        """List people by username."""
        as_of = await reached(page.min_offset)
        return answer(await reads.users(username, page=page), as_of=as_of)

    @router.get(
        "/v1/users/{user}",
        operation_id="getUser",
        response_model=Person,
        responses=may_answer(READ, Code.USER_NOT_FOUND),
    )
    async def one(_: Caller, user: UserOfPath, min_offset: MinOffset = BEFORE_LOG) -> Response:
        """Return somebody."""
        as_of = await reached(min_offset)
        return answer(await reads.people.get(user), as_of=as_of)
