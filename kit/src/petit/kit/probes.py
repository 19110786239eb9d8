"""`/healthz` and `/readyz`: whether a process lives, and whether it should be given requests.

Liveness is the process alone: whatever is down beside it, starting it again would cure nothing. Readiness is what it
needs to do its own part. An edge needs its own feed, a right clock and some key of the issuer, and nothing of the
database: sends go on while that is down, and while the issuer is, once it has been there. On its way out a process is
not ready any more, though it still answers.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from petit.contracts.problems import Code, Refused, Unavailable
from petit.kit.clock import Clock, SystemClock
from petit.kit.errors import LogFault, Outage
from petit.kit.serving import ASGI

HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"
MAX_LAG_S: Final = 5.0
"""How far the feed of an edge that is ready may lag; one that lags more might write a send too late."""
MAX_SKEW_S: Final = 20.0
"""How wrong the clock of an edge may be; the window in which the log knows duplicates is made for it."""
KEPT_S: Final = 1.0
"""How long an answer about readiness is given again, seconds: `/readyz` costs the log one question in that time."""
_WITHIN_S: Final = 1.0
_CLOCK: Final = SystemClock()
_OK: Final = b'{"ok":true}'

Check = Callable[[], Awaitable[str | None]]
"""Says what is wrong, in one sentence; None where nothing is."""


class Reading(Protocol):
    """What is asked of a feed."""

    @property
    def lag_s(self) -> float:
        """Seconds since all of the log had been delivered."""
        ...


class Timekeeper(Protocol):
    """What is asked of the log."""

    async def clock_skew(self) -> float:
        """Return by how many seconds our clock is ahead of the log's."""
        ...


class Readiness:
    """Whether a process should be given requests.

    Anybody may ask as often as they like: whoever comes within `KEPT_S` of an answer gets the same one.

    Args:
        checks: What must be right, in the order in which it is looked at.
        clock: Measures how old an answer is.
    """

    def __init__(self, checks: Sequence[Check], *, clock: Clock = _CLOCK) -> None:
        self._checks = tuple(checks)
        self._clock = clock
        self._leaving = False
        self._found: str | None = None
        self._kept_until = -math.inf
        self._looking = asyncio.Lock()

    async def leave(self, *, after_s: float) -> None:
        """Be ready no more, and go on for a while, so that whoever sends requests here learns it first."""
        self._leaving = True
        await asyncio.sleep(after_s)

    async def wrong(self) -> str | None:
        """Return what is wrong, in one sentence; None where nothing is. Never raises for what is only down."""
        async with self._looking:
            if not self._leaving and self._clock.monotonic() >= self._kept_until:
                self._found = await self._look()
                self._kept_until = self._clock.monotonic() + KEPT_S
        return "this process is about to stop" if self._leaving else self._found

    async def _look(self) -> str | None:
        for check in self._checks:
            try:
                found = await check()
            except Outage as error:
                found = error.detail
            except LogFault as error:
                found = str(error)
            if found is not None:
                return found
        return None


def of_edge(feed: Reading, log: Timekeeper, *, clock: Clock = _CLOCK, checks: Sequence[Check] = ()) -> Readiness:
    """Return the readiness of a process that takes requests from apps.

    Args:
        feed: How far it has read the log.
        log: Knows what time it is.
        clock: Measures how old an answer is.
        checks: What else must be right.
    """
    return Readiness([_FeedIsCurrent(feed), _ClockIsRight(log), *checks], clock=clock)


class _FeedIsCurrent:
    def __init__(self, feed: Reading) -> None:
        self._feed = feed

    async def __call__(self) -> str | None:
        lag_s = self._feed.lag_s
        return None if lag_s <= MAX_LAG_S else f"the feed of this process lags {lag_s:.0f} s"


class _ClockIsRight:
    """Asks the log what time it is; while that cannot be asked, what it said last stands: the feed tells of outages."""

    def __init__(self, log: Timekeeper) -> None:
        self._log = log
        self._skew_s: float | None = None

    async def __call__(self) -> str | None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                self._skew_s = await self._log.clock_skew()
        except (Outage, TimeoutError):
            if self._skew_s is None:
                return "the log has not said yet what time it is"
        if abs(self._skew_s) <= MAX_SKEW_S:
            return None
        side = "ahead of" if self._skew_s > 0 else "behind"
        return f"this clock is {abs(self._skew_s):.0f} s {side} the log's, and may be off by {MAX_SKEW_S:.0f}: set it"


def with_probes(app: ASGI | None, readiness: Readiness) -> ASGI:
    """Return an application that answers the probes itself, and leaves everything else to another one.

    Args:
        app: None where there is nothing else: every other path is 404.
    """

    async def probed(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path")
        if path == HEALTHZ:
            response = Response(_OK, media_type="application/json")
        elif path == READYZ:
            response = _ready(await readiness.wrong())
        elif app is None:
            response = _problem(Refused(Code.ROUTE_NOT_FOUND, f"there is no route {path}"))
        else:
            await app(scope, receive, send)
            return
        await response(scope, receive, send)

    return probed


def _ready(wrong: str | None) -> Response:
    if wrong is None:
        return Response(_OK, media_type="application/json")
    return _problem(Unavailable(wrong))


def _problem(refused: Refused) -> Response:
    headers = {} if refused.retry_after is None else {"retry-after": str(refused.retry_after)}
    body = refused.problem().model_dump_json(exclude_none=True)
    return Response(body, status_code=refused.status, media_type="application/problem+json", headers=headers)
