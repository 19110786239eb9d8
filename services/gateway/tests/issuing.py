"""The issuer in memory, as far as people sign up, log in and log out with it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from pydantic import SecretStr

from petit.contracts.ids import UserId
from petit.contracts.problems import Code, Refused, Unavailable, wrong
from petit.contracts.resources import Person
from petit.gateway.app import Issuer
from petit.gateway.domain.accounts import Grant
from petit.gateway.ports import Ended, Ending
from services.gateway.tests.memory import MemoryDirectory


@dataclass
class MemoryAccounts:
    """See `Accounts` and `Endings`."""

    directory: MemoryDirectory
    passwords: dict[str, str] = field(default_factory=dict)
    logged_out: list[str] = field(default_factory=list)
    ended_: list[Ending] = field(default_factory=list)
    asked_since: list[int] = field(default_factory=list)
    down: bool = False

    async def sign_up(self, username: str, *, password: SecretStr, name: str | None) -> Person:
        self._check()
        username = username.lower()
        if username in self.directory.people:
            raise Refused(Code.CONFLICT_STATE, f"the username {username} is taken")
        if password.get_secret_value() == username:
            raise wrong("/password", "must not be the username")
        person = Person(id=UserId(username), username=username, name=name or username)
        self.directory.people[person.id] = person
        self.passwords[username] = password.get_secret_value()
        return person

    async def log_in(self, username: str, *, password: SecretStr) -> Grant:
        self._check()
        if self.passwords.get(username.lower()) != password.get_secret_value():
            raise Refused(Code.CREDENTIALS_INVALID, "this lets nobody in")
        return _grant(username.lower())

    async def go_on(self, refresh_token: SecretStr) -> Grant:
        self._check()
        kind, _, username = refresh_token.get_secret_value().partition(" ")
        if kind != "refresh" or f"session-of-{username}" in self.logged_out:
            raise Refused(Code.CREDENTIALS_INVALID, "this lets nobody in")
        return _grant(username)

    async def log_out(self, session: str) -> None:
        self._check()
        self.logged_out.append(session)

    async def ended(self, since_ms: int) -> AsyncIterator[Ended]:
        self._check()
        self.asked_since.append(since_ms)
        for ending in self.ended_:
            if ending.at_ms >= since_ms:
                yield Ended(endings=[ending], until_ms=ending.at_ms)

    def _check(self) -> None:
        if self.down:
            raise Unavailable("the issuer does not answer", retry_after=2)


def issuing(directory: MemoryDirectory, accounts: MemoryAccounts | None = None) -> Issuer:
    """Return an issuer in memory as a gateway needs it."""
    accounts = accounts or MemoryAccounts(directory)
    return Issuer(directory=directory, accounts=accounts, endings=accounts)


def _grant(username: str) -> Grant:
    return Grant(
        access_token=username, expires_in=600, refresh_token=f"refresh {username}", refresh_expires_in=1_209_600
    )
