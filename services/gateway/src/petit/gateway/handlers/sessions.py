"""Log-ins that are over: the log says so, and every edge acts on it.

The issuer tells of a log-out at once (back-channel), but only once, and it never tells of an account that is disabled
or deleted. So what it has noted of such things is read every other second as well, by every gateway: the same ending is
the same signal, whoever tells of it first.
"""

import asyncio
import uuid
from dataclasses import dataclass, field
from typing import Final, NoReturn

import structlog

from petit.contracts.ids import SignalId, timestamp
from petit.contracts.problems import Refused
from petit.contracts.signals import SessionRevoked, SessionRevokedData, encode
from petit.contracts.subjects import SESSION_REVOKED, person_signal
from petit.gateway.ports import Accounts, Clock, Ending, Endings, Log, Tokens
from petit.kit.auth import Principal

EVERY_S: Final = 2.0
"""How often the issuer is asked what has ended."""
_PAST_MS: Final = 3_600_000
"""How far back the first question goes: a token that was made before has ended by itself."""
_OVERLAP_MS: Final = 10_000
"""How much is asked for again, beside what was noted while it was told: what is noted late has its time of before."""
_NAMESPACE: Final = uuid.UUID("6d1f6f0e-70f5-5d0c-9f43-5a4a7d3f5c12")
_LOGGER: Final = structlog.get_logger("petit.gateway.sessions")


@dataclass(slots=True)
class Sessions:
    """Ends log-ins, and watches for those that end elsewhere."""

    accounts: Accounts
    watched: Endings
    log: Log
    tokens: Tokens
    clock: Clock
    _since_ms: int = field(default=-1)

    async def log_out(self, principal: Principal) -> None:
        """End the log-in that a token belongs to, and with it its streams and the use of its tokens, everywhere.

        Raises:
            Unavailable: the issuer or the log cannot be reached; doing it again is fine.
        """
        if principal.session:
            await self.accounts.log_out(principal.session)
        await self.revoke(Ending(user=principal.user, session=principal.session or None, at_ms=self.clock.now_ms()))

    async def revoke(self, ending: Ending) -> None:
        """Write down that a log-in is over; a repeat within the log's window is the same signal.

        Raises:
            Unavailable: the log cannot be written now.
        """
        id_ = _id_of(ending)
        signal = SessionRevoked(
            id=id_,
            by=ending.user,
            person=ending.user,
            at=timestamp(ending.at_ms),
            data=SessionRevokedData(session=ending.session),
        )
        await self.log.append(person_signal(ending.user, SESSION_REVOKED), encode(signal), msg_id=f"session:{id_}")
        _LOGGER.info("session.revoked", user=ending.user, session=ending.session)

    async def run(self) -> NoReturn:
        """Ask the issuer every other second what has ended, until cancelled."""
        failed = False
        while True:
            try:
                await self.look()
            except Refused as error:
                if not failed:  # once per outage
                    _LOGGER.warning("endings.unknown", error=error.detail)
                failed = True
            else:
                failed = False
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Ask the issuer what has ended since the last time, and write down what the log does not know yet.

        Raises:
            Unavailable: the issuer or the log cannot be reached.
        """
        if self._since_ms < 0:
            self._since_ms = self.clock.now_ms() - _PAST_MS
        begun, until_ms = self.clock.monotonic(), self._since_ms
        async for ended in self.watched.ended(self._since_ms):
            for ending in ended.endings:
                await self._end(ending)
            until_ms = max(until_ms, ended.until_ms)
        took_ms = round((self.clock.monotonic() - begun) * 1000)
        self._since_ms = max(self._since_ms, until_ms - took_ms - _OVERLAP_MS)

    async def _end(self, ending: Ending) -> None:
        """Write down what has ended, unless the log knows it.

        Raises:
            Unavailable: the log cannot be written now.
        """
        known = self.tokens.revocations
        if not known.covers(user=ending.user, session=ending.session or "", issued_at=ending.at_ms / 1000):
            await self.revoke(ending)


def _id_of(ending: Ending) -> SignalId:
    """Return the same id for the same ending: a session ends once, all of a person's at one moment."""
    what = f"session {ending.session}" if ending.session is not None else f"all of {ending.user} until {ending.at_ms}"
    return SignalId(str(uuid.uuid5(_NAMESPACE, what)))
