"""Log-ins and the authorization codes that lead to them, in the shared file."""

import hashlib
import secrets
import sqlite3
import uuid
from dataclasses import dataclass
from enum import Enum, auto

from petit.cli.issuer.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One log-in of a person with a client."""

    sid: str
    username: str
    client: str
    scope: str
    """Granted scopes, divided by spaces."""
    started_at: float
    """Unix seconds."""
    ends_at: float
    """Unix seconds; each refresh moves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What an authorization code was given for."""

    sid: str
    client: str
    redirect_uri: str
    challenge: str
    """SHA-256 of the verifier, base64url without padding (RFC 7636, 4.2)."""
    nonce: str | None
    """To be repeated in the id token."""


class CodeFault(Enum):
    """Why a code is not redeemed."""

    UNKNOWN = auto()
    LATE = auto()
    USED = auto()
    """Someone has it who should not: the log-in that it led to is over (RFC 6749, 4.1.2)."""


class Sessions:
    """All log-ins. What is over is forgotten at the next log-in.

    Args:
        store: Where they are kept.
        session_s: A log-in lasts so many seconds after its last refresh.
        code_s: A code lasts so many seconds.
    """

    def __init__(self, store: Store, *, session_s: int, code_s: int) -> None:
        self._store = store
        self._session_s = session_s
        self._code_s = code_s

    def start(self, username: str, *, client: str, scope: str, now: float) -> Session:
        """Begin a log-in."""
        session = Session(
            sid=str(uuid.uuid4()),
            username=username,
            client=client,
            scope=scope,
            started_at=now,
            ends_at=now + self._session_s,
        )
        row = (session.sid, username, client, scope, session.started_at, session.ends_at)
        with self._store.transaction() as writing:
            writing.execute("DELETE FROM sessions WHERE ends_at <= ?", (now,))
            writing.execute("DELETE FROM codes WHERE ends_at <= ?", (now - self._session_s,))
            writing.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
        return session

    def get(self, sid: str, *, now: float) -> Session | None:
        """Return a log-in that is not over, else None."""
        rows = self._store.rows("SELECT * FROM sessions WHERE sid = ? AND ends_at > ?", (sid, now))
        return _session(rows[0]) if rows else None

    def extend(self, sid: str, *, now: float) -> Session | None:
        """Let a log-in last from now, and return it; None if it is over."""
        with self._store.transaction() as writing:
            writing.execute(
                "UPDATE sessions SET ends_at = ? WHERE sid = ? AND ends_at > ?", (now + self._session_s, sid, now)
            )
        return self.get(sid, now=now)

    def end(self, sid: str) -> None:
        """End a log-in; ending it again does nothing."""
        with self._store.transaction() as writing:
            writing.execute("DELETE FROM sessions WHERE sid = ?", (sid,))

    def end_all(self, username: str) -> None:
        """End all log-ins of somebody."""
        with self._store.transaction() as writing:
            writing.execute("DELETE FROM sessions WHERE username = ?", (username,))

    def authorize(self, authorization: Authorization, *, now: float) -> str:
        """Return a code that can be redeemed once, 43 characters."""
        code = secrets.token_urlsafe(32)
        row = (
            _hash(code),
            authorization.sid,
            authorization.client,
            authorization.redirect_uri,
            authorization.challenge,
            authorization.nonce,
            now + self._code_s,
        )
        with self._store.transaction() as writing:
            writing.execute("INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?, ?, 0)", row)
        return code

    def redeem(self, code: str, *, now: float) -> Authorization | CodeFault:
        """Use a code up and return what it was given for."""
        with self._store.transaction() as writing:
            rows = writing.execute("SELECT * FROM codes WHERE hash = ?", (_hash(code),)).fetchall()
            if not rows:
                return CodeFault.UNKNOWN
            (row,) = rows
            if row["redeemed"]:
                writing.execute("DELETE FROM sessions WHERE sid = ?", (row["sid"],))
                return CodeFault.USED
            writing.execute("UPDATE codes SET redeemed = 1 WHERE hash = ?", (row["hash"],))
        if row["ends_at"] <= now:
            return CodeFault.LATE
        return Authorization(
            sid=row["sid"],
            client=row["client"],
            redirect_uri=row["redirect_uri"],
            challenge=row["challenge"],
            nonce=row["nonce"],
        )


def may_log_in(store: Store, *, per_s: float, now: float) -> bool:
    """Count a look at a password, by any process, and say whether it is within the limit.

    A leaky bucket that holds one second's worth, but at least one: the row says when it will be empty.
    """
    each_s = 1 / per_s
    holds_s = max(1.0, each_s)
    with store.transaction() as writing:
        counted = writing.execute(
            "UPDATE log_ins SET free_at = max(free_at, ?) + ? WHERE free_at <= ?", (now, each_s, now + holds_s - each_s)
        )
        return counted.rowcount == 1


def _session(row: sqlite3.Row) -> Session:
    return Session(**dict(row))


def _hash(code: str) -> bytes:
    """Codes are kept as hashes, so that the file gives none away."""
    return hashlib.sha256(code.encode("utf-8", "replace")).digest()
