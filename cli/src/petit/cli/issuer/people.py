"""Who can log in: a few people with names, and those that are made on demand."""

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from petit.cli.issuer.store import Store
from petit.contracts.ids import UserId

_NAMESPACE: Final = uuid.UUID("6d1f6f0e-70f5-5d0c-9f43-5a4a7d3f5c11")
"""Of the ids that names stand for. It never changes: chats on disk refer to people by these ids."""

_FIRST: Final = ("ada", "bob", "cat", "dan", "eve", "root")
_USERNAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_WHO: Final = "SELECT *, EXISTS (SELECT 1 FROM disabled WHERE disabled.id = people.id) AS disabled FROM people"
_SCRYPT_N: Final = 2**12
"""Some 7 ms and 4 MB. People here have their name as password; a deployment has Keycloak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone who can log in."""

    id: UserId
    username: str
    first_name: str
    """Empty if unknown."""
    last_name: str
    """Empty if unknown."""
    roles: tuple[str, ...]
    made_at: float
    """Unix seconds."""
    enabled: bool = True
    """Who is not cannot log in."""

    @property
    def name(self) -> str:
        """What people call them; empty if unknown."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A condition on people: one of these columns is like the pattern."""

    columns: tuple[Literal["username", "first_name", "last_name"], ...]
    pattern: str
    """SQL's LIKE, lower-case, escaped by backslash."""


def user_id(username: str) -> UserId:
    """Return the id (`sub`) of whoever has this username, on any machine, even before they are made."""
    return UserId(str(uuid.uuid5(_NAMESPACE, username.lower())))


def is_username(text: str) -> bool:
    """Say whether text can be a username: 1 to 64 of `[a-z0-9._@-]`, beginning with one of `[a-z0-9]`."""
    return _USERNAME.fullmatch(text) is not None


class People:
    """Everyone, in the shared file."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ensure(self, *, now: float) -> None:
        """Make the first people where they are missing: `ada bob cat dan eve`, and `root`, who is ADMIN.

        Args:
            now: Unix seconds.
        """
        known = {row["username"] for row in self._store.rows("SELECT username FROM people")}
        for username in _FIRST:
            if username not in known:
                roles = ("USER", "ADMIN") if username == "root" else ("USER",)
                person = Person(
                    id=user_id(username),
                    username=username,
                    first_name=username.title(),
                    last_name="",
                    roles=roles,
                    made_at=now,
                )
                self.add(person, password=username)

    def add(self, person: Person, *, password: str | None) -> bool:
        """Add someone, or say False if the username is taken; without a password they cannot log in."""
        hashed = None if password is None else _hash(password, salt=secrets.token_bytes(16))
        row = (
            person.username,
            person.id,
            person.first_name,
            person.last_name,
            hashed,
            json.dumps(person.roles),
            person.made_at,
        )
        with self._store.transaction() as writing:
            added = writing.execute("INSERT OR IGNORE INTO people VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            return added.rowcount == 1

    def check(self, username: str, *, password: str) -> Person | None:
        """Return who has this username and password, else None; both answers take the same time."""
        rows = self._store.rows(f"{_WHO} WHERE username = ?", (username.strip().lower(),))
        hashed = rows[0]["password"] if rows else None
        given = _hash(password, salt=bytes(16) if hashed is None else hashed[:16])
        if hashed is None or not hmac.compare_digest(given, hashed):
            return None
        person = _person(rows[0])
        return person if person.enabled else None

    def enable(self, person: Person, *, on: bool) -> None:
        """Let somebody log in, or not any more."""
        with self._store.transaction() as writing:
            writing.execute("DELETE FROM disabled WHERE id = ?", (person.id,))
            if not on:
                writing.execute("INSERT INTO disabled VALUES (?)", (person.id,))

    def remove(self, person: Person) -> None:
        """Forget somebody and their log-ins."""
        with self._store.transaction() as writing:
            writing.execute("DELETE FROM sessions WHERE username = ?", (person.username,))
            writing.execute("DELETE FROM disabled WHERE id = ?", (person.id,))
            writing.execute("DELETE FROM people WHERE id = ?", (person.id,))

    def find(self, username: str) -> Person | None:
        """Return who has exactly this username, else None."""
        return _one(self._store.rows(f"{_WHO} WHERE username = ?", (username,)))

    def get(self, id: str) -> Person | None:
        """Return who has this id, else None."""
        return _one(self._store.rows(f"{_WHO} WHERE id = ?", (id,)))

    def page(self, wanted: Iterable[Match], *, first: int, limit: int) -> list[Person]:
        """Return people who meet all conditions, by username.

        Args:
            wanted: None of them finds everyone.
            first: How many to pass over.
            limit: At most so many.
        """
        query, values = f"{_WHO} WHERE 1", list[object]()
        for match in wanted:
            columns = " OR ".join(f"lower({column}) LIKE ? ESCAPE '\\'" for column in match.columns)
            query += f" AND ({columns})"
            values += [match.pattern] * len(match.columns)
        query += " ORDER BY username LIMIT ? OFFSET ?"
        return [_person(row) for row in self._store.rows(query, (*values, limit, first))]


def _hash(password: str, *, salt: bytes) -> bytes:
    """Return the salt and what scrypt makes of it and the password (RFC 7914)."""
    return salt + hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, n=_SCRYPT_N, r=8, p=1, dklen=32)


def _one(rows: list[sqlite3.Row]) -> Person | None:
    return _person(rows[0]) if rows else None


def _person(row: sqlite3.Row) -> Person:
    return Person(
        id=UserId(row["id"]),
        username=row["username"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        roles=tuple(json.loads(row["roles"])),
        made_at=row["made_at"],
        enabled=not row["disabled"],
    )
