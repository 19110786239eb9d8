"""People: found in the directory, and checked there before they are brought into a chat."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from petit.contracts.ids import UserId
from petit.contracts.problems import Code, Refused
from petit.contracts.resources import Person
from petit.gateway.ports import Directory

_AT_ONCE: Final = 16
"""Questions to the directory at a time, for one request."""


def no_such_user(user: str) -> Refused:
    """Return the answer to an id that nobody has."""
    return Refused(Code.USER_NOT_FOUND, f"there is no user {user}")


@dataclass(frozen=True, slots=True)
class People:
    """Answers who there is."""

    directory: Directory

    async def get(self, user: UserId) -> Person:
        """Return somebody.

        Raises:
            Refused: `user.not_found`.
            Unavailable: the directory does not answer.
        """
        person = await self.directory.get(user)
        if person is None:
            raise no_such_user(user)
        return person

    async def must_exist(self, users: Sequence[UserId]) -> None:
        """Check that there are all of these people.

        Raises:
            Refused: `user.not_found` for the first who is not there.
            Unavailable: the directory does not answer.
        """
        for start in range(0, len(users), _AT_ONCE):
            some = users[start : start + _AT_ONCE]
            found = await asyncio.gather(*(self.directory.get(user) for user in some))
            for user, person in zip(some, found, strict=True):
                if person is None:
                    raise no_such_user(user)
