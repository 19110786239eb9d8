"""Log-ins that are over although their tokens are not.

Every edge learns of them from the log (`session.revoked`), and refuses their tokens for as long as a token can
last. An edge that starts reads those of the past anew (`recall`), so nothing is forgotten by a restart, and nothing
is asked of anybody when a request comes.
"""

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final

import structlog

from petit.contracts.ids import UserId
from petit.contracts.signals import SessionRevoked, UndecodableError, decode
from petit.contracts.subjects import ALL_SESSIONS_REVOKED, SESSION_REVOKED
from petit.kit.clock import Clock
from petit.kit.connection import Connection
from petit.kit.errors import Outage
from petit.kit.feed import Feed
from petit.kit.log import Entry

KEEP_S: Final = 3_600.0 + 60.0
"""How long a log-in is known to be over: longer than any token lasts (`Policy.longest_s`), whatever the clocks say."""
_CAPACITY: Final = 200_000
_CLOCKS_S: Final = 60.0
"""How much later than by the log's clock a log-in may have ended by the issuer's, and by ours."""
_RECALL_S: Final = 30.0
"""How long reading the past may take at the start."""
_LOOK_S: Final = 1.0
"""After so long we look again how far the log goes: it may turn out to end earlier."""
_LOGGER: Final = structlog.get_logger(__name__)


class Revocations:
    """Which log-ins are over.

    Args:
        clock: Tells how long ago that was.
        capacity: How many are known, some 200 bytes each; beyond, the oldest are forgotten with a warning.
    """

    def __init__(self, *, clock: Clock, capacity: int = _CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._over: OrderedDict[str, float] = OrderedDict()
        """When a session was ended, or all of a person's were: by `sid`, and by user id behind a mark. Unix seconds."""

    @property
    def forgotten(self) -> float:
        """What ended then or before says nothing about any token that is good now: Unix seconds."""
        return self._clock.now_ms() / 1000 - KEEP_S

    def learn(self, subject: str, payload: bytes) -> SessionRevoked | None:
        """Learn from an entry of the log, and return its signal if that says that a log-in is over."""
        if not subject.endswith(SESSION_REVOKED):
            return None
        try:
            signal = decode(payload)
        except UndecodableError:
            return None
        if not isinstance(signal, SessionRevoked):
            return None
        self.add(signal)
        return signal

    def add(self, signal: SessionRevoked) -> None:
        """Take note; again is the same as once."""
        at = datetime.fromisoformat(signal.at).timestamp()
        forgotten = self.forgotten
        if at <= forgotten:
            return
        key = _all_of(signal.person) if signal.data.session is None else signal.data.session
        self._over[key] = max(at, self._over.pop(key, at))
        while next(iter(self._over.values())) <= forgotten:
            self._over.popitem(last=False)
        if len(self._over) > self._capacity:
            self._over.popitem(last=False)
            _LOGGER.warning("revocation.forgotten", known=self._capacity)

    def covers(self, *, user: UserId, session: str, issued_at: float) -> bool:
        """Say whether a token is of a log-in that is over.

        Args:
            user: Whose it is.
            session: The log-in that it belongs to; empty if unknown.
            issued_at: When it was made: Unix seconds.
        """
        if not self._over:
            return False
        return session in self._over or issued_at <= self._over.get(_all_of(user), -1.0)


def _all_of(user: UserId) -> str:
    return f"all of {user}"


async def recall(nc: Connection, revocations: Revocations, *, name: str) -> None:
    """Learn what the log says of log-ins that are over, up to now. The process's own feed goes on from there.

    No more is read than was stored while a token may last, however old the log is.

    Args:
        name: Shown by the server's monitoring.

    Raises:
        Outage: the log cannot be read now.
        LogFault: it is lost or damaged.
    """

    def deliver(entry: Entry) -> None:
        revocations.learn(entry.subject, entry.payload)

    since = datetime.fromtimestamp(revocations.forgotten - _CLOCKS_S, tz=UTC)
    past = Feed(nc, deliver=deliver, after=since, subjects=[ALL_SESSIONS_REVOKED], name=f"{name}-sessions")
    reading = asyncio.create_task(past.run(), name=f"{name}.recall")
    try:
        async with asyncio.timeout(_RECALL_S):
            await past.started()
            while not await past.wait_for(past.head, within=_LOOK_S):
                pass
    except TimeoutError:
        raise Outage(f"the log did not tell within {_RECALL_S:.0f} s which log-ins are over") from None
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
