"""Acting for somebody: which server, whose tokens, and what people and chats are called."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from petit.cli import datadir
from petit.cli.datadir import DataDir
from petit.cli.logins import REALM, KeptTokens, Logins
from petit.cli.trouble import Trouble
from petit.client import Client, NotFound, Patience, every
from petit.contracts.ids import dm_chat_id, is_uuid
from petit.contracts.resources import Chat, Me, Person

ATTEMPT_S: Final = 5.0
PATIENCE_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """For whom a command acts, and where."""

    data: Path
    name: str | None
    """None: who logged in last."""

    def logins(self) -> Logins:
        """Return the log-ins to choose from."""
        return Logins(self.data.absolute() / "cli")


def server_url(data: DataDir) -> str:
    """Return where the server of this data listens.

    Raises:
        Trouble: nothing runs on it.
    """
    running = datadir.read_running(data)
    if running is None:
        raise Trouble(f"nothing runs on {data.root}: start it with ./petit up, in another terminal")
    return running.url


@asynccontextmanager
async def acting(who: Who) -> AsyncIterator["Session"]:
    """Act for somebody.

    Raises:
        Trouble: nobody is logged in, or nothing runs.
    """
    logins = who.logins()
    name = logins.choose(who.name)
    login = logins.read(name)
    url = login.url or server_url(DataDir(who.data.absolute()))
    tokens = KeptTokens(logins, name=name, issuer=login.issuer or url + REALM)
    async with Client(url, tokens=tokens, patience=Patience(attempt_s=ATTEMPT_S, total_s=PATIENCE_S)) as client:
        yield Session(client=client, name=name)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a command's work."""
    asyncio.run(work)


@dataclass(slots=True, kw_only=True)
class Session:
    """A client, and the names of what it shows."""

    client: Client
    name: str
    """As the person logged in."""
    _people: dict[str, str] = field(default_factory=dict)
    _titles: dict[str, str] = field(default_factory=dict)
    _me: Me | None = None

    async def me(self) -> Me:
        """Return for whom we act."""
        if self._me is None:
            self._me = await self.client.me()
        return self._me

    async def person(self, name: str) -> Person:
        """Return who has exactly this username (with or without an @), or this id.

        Raises:
            Trouble: nobody has.
        """
        username = name.removeprefix("@")
        async for person in every(lambda cursor: self.client.users(username, cursor=cursor)):
            if username in {person.username, person.id}:
                return person
        try:
            return await self.client.user(username)
        except NotFound:
            raise Trouble(f"there is nobody called {username}") from None

    async def chat(self, word: str) -> str:
        """Return the id of the chat that a word stands for: an id, @name for the two of us, or a title of mine.

        Raises:
            Trouble: none, or several.
        """
        if word.startswith("@"):  # whether we have talked or not: its id follows from who we are
            return dm_chat_id((await self.me()).id, (await self.person(word)).id)
        if is_uuid(word):
            return word
        mine = every(lambda cursor: self.client.chats(cursor=cursor, limit=200))
        return _only([chat async for chat in mine if _called(chat, word)], word=word, kind="chat of yours")

    async def room(self, word: str) -> str:
        """Return the id of the room that a word stands for: an id or a title.

        Raises:
            Trouble: none, or several.
        """
        if is_uuid(word):
            return word
        rooms = every(lambda cursor: self.client.rooms(word, cursor=cursor, limit=200))
        return _only([chat async for chat in rooms if _called(chat, word)], word=word, kind="room")

    async def name_of(self, user: str) -> str:
        """Return what to call a person: the username, or the id of one who is gone."""
        if user not in self._people:
            try:
                self._people[user] = (await self.client.user(user)).username
            except NotFound:
                self._people[user] = user
        return self._people[user]

    async def title_of(self, chat: Chat) -> str:
        """Return what to call a chat: its title, or @ and the other's name."""
        if chat.kind != "dm":
            return chat.title or chat.id
        if chat.id not in self._titles:
            me = (await self.me()).id
            members = (await self.client.members(chat.id)).items
            others = [await self.name_of(member.user) for member in members if member.user != me]
            self._titles[chat.id] = f"@{others[0]}" if others else chat.id
        return self._titles[chat.id]

    async def title_of_id(self, chat: str) -> str:
        """Return what to call the chat with this id."""
        if chat not in self._titles:
            try:
                self._titles[chat] = await self.title_of(await self.client.chat(chat))
            except NotFound:
                self._titles[chat] = chat
        return self._titles[chat]

    def forget_title(self, chat: str) -> None:
        """Ask for a chat's title again when it is needed next."""
        self._titles.pop(chat, None)


def _called(chat: Chat, word: str) -> bool:
    return (chat.title or "").casefold() == word.casefold()


def _only(found: list[Chat], *, word: str, kind: str) -> str:
    match found:
        case [chat]:
            return chat.id
        case []:
            raise Trouble(f"there is no {kind} called {word!r}; for one person, write @name")
        case _:
            ids = ", ".join(chat.id for chat in found)
            raise Trouble(f"{len(found)} chats are called {word!r}: name one by its id, of {ids}")
