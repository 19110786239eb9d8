"""People as Keycloak's admin API knows them.

Usernames are found by `search`, which matches the beginning of a username, first or last name, *and of an e-mail
address*. So what does not match by its username is left out here, nobody is found by what only an address can be (an
@), and the place where a list goes on is sealed: how many rows were passed over would tell of the ones left out.

Pages are cut by position, which shifts when people come and go. So a place remembers who stood there last, and the
next page begins behind them, wherever they stand by then: who is there all the time is listed exactly once.

People found by id are remembered for a minute: invitations ask for them again and again, and a username changes rarely.
"""

import base64
import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from petit.contracts.ids import UserId
from petit.contracts.problems import Unavailable, wrong
from petit.contracts.resources import Person
from petit.gateway.adapters.keycloak import Answered, Keycloak
from petit.gateway.ports import Clock, PeoplePage

_REMEMBER_S: Final = 60.0
_REMEMBERED: Final = 10_000
_PATTERNS: Final = frozenset('*"% \\@')
"""What means something in `search`, or is only in an address: nobody's username has it."""
_AT_ONCE: Final = 200
"""People whom one request asks for, at most."""
_SPARE: Final = 10
"""People asked for beyond those wanted: some may have matched by their name alone."""
_ROUNDS: Final = 5
"""Requests that one page costs at most; a page may then be short, never wrong."""
_LAST: Final = 8
"""So many of a page's last people are remembered to find its end again."""
_NEAR: Final = 20
_FAR: Final = 1_000
"""How far from their old place the last person of a page is looked for, at first and then."""


class User(BaseModel):
    """What we use of a Keycloak user. There is no e-mail address: what is not read cannot be told."""

    model_config = ConfigDict(frozen=True)

    id: str
    username: str
    enabled: bool = True
    first: str | None = Field(default=None, alias="firstName")
    last: str | None = Field(default=None, alias="lastName")

    def person(self) -> Person:
        """Return whom everybody may see. A username that is an address is shown without its host."""
        username = self.username.partition("@")[0]
        name = " ".join(part for part in (self.first, self.last) if part)
        return Person(id=UserId(self.id), username=username, name=name or username)


class _Place(BaseModel):
    start: int
    """How many rows are behind."""
    last: tuple[str, ...]
    """Whose are the last of them, the very last one first: any of them shows the place, should some be gone."""


USER: Final = TypeAdapter(User)
_USERS: Final = TypeAdapter(list[User])


class KeycloakDirectory:
    """See `Directory`.

    Args:
        keycloak: The realm.
        clock: Measures how long ago things were.
    """

    def __init__(self, keycloak: Keycloak, *, clock: Clock) -> None:
        self._keycloak = keycloak
        self._clock = clock
        self._remembered: OrderedDict[UserId, tuple[float, Person]] = OrderedDict()
        key = hashlib.sha256(b"petit people " + keycloak.realm.secret.encode()).digest()  # all replicas have it
        self._seal = Fernet(base64.urlsafe_b64encode(key))

    async def find(self, prefix: str, *, after: str | None, limit: int) -> PeoplePage:
        """See `Directory.find`."""
        if not _PATTERNS.isdisjoint(prefix):
            return PeoplePage(items=(), next=None)
        wanted = prefix.casefold()
        items: list[Person] = []
        passed: deque[str] = deque(maxlen=_LAST)
        start, users = await self._first(None if after is None else self._unsealed(after), prefix=prefix, limit=limit)
        for number in range(_ROUNDS):
            if number:
                users = await self._rows(prefix, first=start, limit=_size(limit - len(items)))
            full = len(users) >= _size(limit - len(items))
            for user in users:
                if len(items) == limit:
                    return PeoplePage(items=tuple(items), next=self._sealed(start, passed))
                start += 1
                passed.appendleft(user.id)
                if user.username.casefold().startswith(wanted) and "@" not in user.username:
                    items.append(user.person())
            if not full:
                return PeoplePage(items=tuple(items), next=None)
        return PeoplePage(items=tuple(items), next=self._sealed(start, passed))

    async def get(self, user: UserId) -> Person | None:
        """See `Directory.get`."""
        now = self._clock.monotonic()
        held = self._remembered.get(user)
        if held is not None and now - held[0] < _REMEMBER_S:
            return held[1]
        try:
            found = await self._keycloak.admin(lambda admin: admin.a_get_user(user), shape=USER)
        except Answered as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            raise _unexpected(answer) from answer
        person = found.person()
        self._remembered[user] = (now, person)
        self._remembered.move_to_end(user)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return person

    async def _rows(self, prefix: str, *, first: int, limit: int) -> list[User]:
        query: dict[str, str | int] = {"first": first, "max": limit, "briefRepresentation": "true"}
        if prefix:
            query["search"] = prefix
        try:
            return await self._keycloak.admin(lambda admin: admin.a_get_users(query), shape=_USERS)
        except Answered as answer:
            raise _unexpected(answer) from answer

    async def _first(self, place: _Place | None, *, prefix: str, limit: int) -> tuple[int, list[User]]:
        """Return how many rows are behind a place, and the rows from there on."""
        if place is None:
            return 0, await self._rows(prefix, first=0, limit=_size(limit))
        rows = await self._rows(prefix, first=place.start - 1, limit=_size(limit) + 1)
        if rows and rows[0].id == place.last[0]:
            return place.start, rows[1:]
        start = await self._behind(place, prefix=prefix)
        return start, await self._rows(prefix, first=start, limit=_size(limit))

    async def _behind(self, place: _Place, *, prefix: str) -> int:
        """Return how many rows are behind now, up to and with the last person of the page before who is still there."""
        for reach in (_NEAR, _FAR):
            first = max(0, place.start - 1 - reach)
            rows = await self._rows(prefix, first=first, limit=2 * reach + 1)
            standing = {user.id: number for number, user in enumerate(rows)}
            for id_ in place.last if reach == _FAR else place.last[:1]:
                if id_ in standing:
                    return first + standing[id_] + 1
        return max(0, place.start - len(place.last))  # all gone, and whoever was behind them has moved up

    def _sealed(self, start: int, passed: Iterable[str]) -> str:
        place = _Place(start=start, last=tuple(passed))
        return self._seal.encrypt(place.model_dump_json().encode()).decode()

    def _unsealed(self, word: str) -> _Place:
        try:
            return _Place.model_validate_json(self._seal.decrypt(word))
        except (InvalidToken, ValueError):  # the latter: characters that no cursor has, or a shape that is not ours
            raise wrong("?cursor", "not a cursor of this list") from None


def _size(wanted: int) -> int:
    return min(_AT_ONCE, wanted + _SPARE)


def _unexpected(answer: Answered) -> Unavailable:
    return Unavailable(f"the people directory answers {answer.status}")
