"""People who write over REST, whatever happens: each message under its own id, tried again until it is answered."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx2

from petit.client import ApiProblem, Unavailable, Unreachable
from petit.contracts.resources import Sent
from tests.e2e.people import Person
from tests.prove.evidence import Attempt

PATIENT_S: Final = 60.0
_HASTY_S: Final = (0.2, 1.5)
_HASTE: Final = 0.15
"""How many of the sends are given up soon where there is no answer: they may be stored, or not."""
_PAUSE_S: Final = (0.0, 0.03)


@dataclass(slots=True)
class Ledger:
    """What all writers were told."""

    attempts: list[Attempt] = field(default_factory=list)
    acknowledged: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    """Of all answers to all requests."""
    cuts: Counter[str] = field(default_factory=Counter)
    """Requests without an answer, by what the client says: there was nobody, or the connection was cut. Not those of
    hasty people, who hang up."""
    broken: int = 0
    """Sends that were given up without an answer, or with 503."""
    complaints: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    """The longest time without any acknowledged send."""
    last_at: float = field(default_factory=time.monotonic)

    def enter(self, attempt: Attempt) -> None:
        """Take what came of a message."""
        self.attempts.append(attempt)
        if attempt.sent is None:
            self.broken += 1
            return
        self.acknowledged += 1
        now = time.monotonic()
        self.longest_s = max(self.longest_s, now - self.last_at)
        self.last_at = now


class _Listening(httpx2.AsyncBaseTransport):
    """A transport that enters what comes of each request, also of those that are tried again."""

    def __init__(self, transport: httpx2.AsyncBaseTransport, *, ledger: Ledger) -> None:
        self._transport = transport
        self._ledger = ledger

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._transport.handle_async_request(request)
        except httpx2.TimeoutException:
            raise  # who waits no longer hangs up
        except httpx2.TransportError as error:
            self._ledger.cuts[f"{type(error).__name__}: {error}"] += 1
            raise
        self._ledger.statuses[response.status_code] += 1
        return response

    async def aclose(self) -> None:
        await self._transport.aclose()


def listen(person: Person, *, ledger: Ledger) -> None:
    """Enter what comes of every request that somebody makes."""
    http = person.client.http
    http._transport = _Listening(http._transport, ledger=ledger)  # noqa: SLF001 - hooks do not hear of failures


async def write(
    person: Person, *, chats: Sequence[str], ledger: Ledger, over: asyncio.Event, chance: random.Random
) -> None:
    """Send into one's chats, one message after the other, until it is over."""
    number = 0
    while not over.is_set():
        number += 1
        hasty = chance.random() < _HASTE
        await send(
            person,
            chat=chance.choice(chats),
            text=f"{person.username} {number}",
            ledger=ledger,
            patience_s=chance.uniform(*_HASTY_S) if hasty else PATIENT_S,
        )
        await asyncio.sleep(chance.uniform(*_PAUSE_S))


async def send(person: Person, *, chat: str, text: str, ledger: Ledger, patience_s: float = PATIENT_S) -> Sent | None:
    """Send one message under an id of our own, and enter what came of it."""
    id, sent = person.client.new_id(), None
    try:
        sent = await person.client.send(chat, text, id=id, patience_s=patience_s)
    except (Unreachable, Unavailable):
        pass
    except ApiProblem as problem:
        ledger.complaints.append(f"message {id} of {person.username} was refused: {problem!r}")
    ledger.enter(Attempt(id=id, by=person.id, chat=chat, text=text, sent=sent))
    return sent
