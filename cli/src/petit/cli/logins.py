"""Who is logged in on this machine: one private file a person, below `<data>/cli`.

Several commands of one person may run at once (`tail` in one terminal, `send` in another): whoever needs
a new token takes the file's lock, and looks first whether another command has renewed it meanwhile.
"""

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
from pydantic import BaseModel, ValidationError

from petit.cli import datadir
from petit.cli.datadir import DataDir
from petit.cli.trouble import Trouble, file_trouble
from petit.client import Grant, LoginRefused, OidcTokens

REALM: Final = "/realms/petit"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_CURRENT: Final = "current"
_LOCK_POLL_S: Final = 0.05


class Login(BaseModel):
    """One person's log-in, as it is kept."""

    name: str
    url: str | None = None
    """The origin that it is for; None: whatever runs on this data, wherever that listens."""
    issuer: str | None = None
    """Who gave the tokens; None: the development issuer at the same origin."""
    grant: Grant


@dataclass(frozen=True, slots=True)
class Logins:
    """The log-ins of one data folder."""

    folder: Path

    @classmethod
    def of(cls, data: DataDir) -> "Logins":
        """Return those of a data folder."""
        return cls(data.logins)

    def names(self) -> list[str]:
        """Return who is logged in, sorted by name."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def current(self) -> str | None:
        """Return who logged in last; None if nobody is logged in."""
        try:
            name = (self.folder / _CURRENT).read_text().strip()
        except OSError:
            return None
        return name if name in self.names() else None

    def read(self, name: str) -> Login:
        """Return a person's log-in.

        Raises:
            Trouble: there is none.
        """
        path = self._path(name)
        try:
            return Login.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise Trouble(f"{name} is not logged in: ./petit login {name}") from None
        except ValidationError:
            raise Trouble(f"{path} is damaged: log in again with ./petit login {name}") from None

    def write(self, login: Login) -> None:
        """Keep a person's log-in.

        Raises:
            Trouble: it cannot be written.
        """
        datadir.write_private(self._path(login.name), login.model_dump_json(indent=2) + "\n")

    def make_current(self, name: str) -> None:
        """Let commands that name nobody act for this person.

        Raises:
            Trouble: it cannot be written.
        """
        datadir.write_private(self.folder / _CURRENT, name + "\n")

    def forget(self, name: str) -> None:
        """Remove a person's log-in."""
        for path in (self._path(name), self._path(name).with_suffix(".lock")):
            path.unlink(missing_ok=True)

    def choose(self, name: str | None) -> str:
        """Return for whom a command acts: who is named, or else who logged in last.

        Raises:
            Trouble: nobody is logged in, or it is not clear who is meant.
        """
        chosen = name or self.current()
        if chosen is not None:
            return chosen
        match self.names():
            case []:
                raise Trouble("nobody is logged in: ./petit login ada")
            case [only]:
                return only
            case names:
                raise Trouble(f"say for whom, with --as: {', '.join(names)} are logged in")

    def lock_path(self, name: str) -> Path:
        """Return the file whose lock is held while a token is renewed."""
        return self._path(name).with_suffix(".lock")

    def check(self, name: str) -> None:
        """Make sure that a name is one.

        Raises:
            Trouble: it is not.
        """
        if not _NAME.fullmatch(name):
            raise Trouble(f"{name!r} is not a name: 1 to 64 letters, digits and . _ @ + -")

    def _path(self, name: str) -> Path:
        self.check(name)
        return self.folder / f"{name}.json"


class KeptTokens:
    """Tokens of a kept log-in; see `petit.client.Tokens`. What is renewed is kept."""

    def __init__(self, logins: Logins, *, name: str, issuer: str) -> None:
        self._logins = logins
        self._name = name
        self._issuer = issuer
        self._lock = asyncio.Lock()

    async def access_token(self, http: httpx2.AsyncClient, *, stale: str | None = None) -> str:
        """See `Tokens.access_token`.

        Raises:
            LoginRefused: the log-in has ended.
        """
        async with self._lock:
            login = self._logins.read(self._name)
            if login.grant.access_token != stale and not login.grant.ends_soon():
                return login.grant.access_token
            async with _locked(self._logins.lock_path(self._name)):
                tokens = self._tokens(self._logins.read(self._name))  # another command may have renewed it meanwhile
                try:
                    return await tokens.access_token(http, stale=stale)
                except LoginRefused as refusal:
                    raise LoginRefused(f"{refusal}. Log in again: ./petit login {self._name}") from refusal

    def _tokens(self, login: Login) -> OidcTokens:
        return OidcTokens(
            self._issuer,
            grant=login.grant,
            on_grant=lambda grant: self._logins.write(login.model_copy(update={"grant": grant})),
        )


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    with file_trouble(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(lock)
