"""The hub: every connection of the process, written to in ticks.

A quiet hub flushes at once, at the end of the loop's turn, so that what came together goes together. One
that is hot flushes less often the more a flush costs: every few milliseconds, so that a connection gets
several frames in one system call, which is what fan-out costs.
"""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from petit.contracts.cursor import Cursor
from petit.contracts.ids import Offset, UserId, timestamp
from petit.contracts.problems import Code, Refused
from petit.contracts.resources import Bye, Hello, dump
from petit.contracts.rpc import DeliveredNote
from petit.kit.clock import Clock
from petit.kit.log import Entry
from petit.notifier.domain.frames import Event, cursor_id, frame, json_line
from petit.notifier.domain.people import Seat
from petit.notifier.handlers.backlogs import Backlogs
from petit.notifier.handlers.lifetimes import HEARTBEAT_S, Lifetimes
from petit.notifier.handlers.resume import GOING_AWAY, Resume, Spawn
from petit.notifier.handlers.router import Router

FLUSH_BYTES: Final = 65_536
"""So much of the log is routed without a flush at most."""
CATCH_UPS: Final = 256
"""Connections that are moved on in one turn: others wait no longer for them than some milliseconds."""
POLL_S: Final = 0.05
"""How often a feed that is not current is looked at, while somebody waits for it."""
DRAIN_S: Final = 3.0
"""How long connections may take to read their `bye`."""
TOKEN_GONE: Final = 4401
ASKING: Final = 256
"""Delivered markers that may wait for a chat which nothing was said in since it was looked at; more are dropped."""
_SHORTEST_S: Final = 0.005
_LONGEST_S: Final = 0.02

_log = structlog.get_logger(__name__)


class Hub:
    """The connections, and the turns in which they are written to.

    Args:
        instance: This process's name; a connection's id is `<instance>-<n>`.
        spawn: Starts a task that somebody supervises.
    """

    def __init__(self, router: Router, *, backlogs: Backlogs, clock: Clock, instance: str, spawn: Spawn) -> None:
        self._router = router
        self._clock = clock
        self._instance = instance
        self._resume = Resume(router, backlogs=backlogs, clock=clock, spawn=spawn, wake=self._wake)
        self._spawn = spawn
        self._asking = 0
        self._lifetimes = Lifetimes(router, clock=clock, greeted=self._resume.greeted)
        self._loop = asyncio.get_running_loop()
        self._seats: dict[str, Seat] = {}
        self._made = 0
        self._turn_due: asyncio.Handle | None = None
        self._not_before = 0.0
        self._bytes = 0
        self._draining = False
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._seats)

    def seats(self) -> list[Seat]:
        """Return every connection."""
        return list(self._seats.values())

    def name(self) -> str:
        """Return the id of the next connection."""
        self._made += 1
        return f"{self._instance}-{self._made}"

    def on_entry(self, entry: Entry) -> None:
        """Take the next entry of the log; called by the feed, once for each, in order."""
        for seat in self._router.route(entry):
            self._resume.fall_behind(seat)
        if self._router.tick:
            self._bytes += len(entry.payload)
            if self._bytes >= FLUSH_BYTES:
                self._bytes = 0
                self._router.flush()
            self._wake()

    def on_delivered(self, note: DeliveredNote) -> None:
        """Pass on how far a message got, to whoever looks at that chat here."""
        if self._router.mirror.get(note.chat) is not None:
            self._router.deliver(note)
            self._wake()
        elif self._router.people.audience(note.chat) is not None and self._asking < ASKING:
            self._asking += 1
            self._spawn(self._deliver_when_known(note))

    def arrive(self, seat: Seat, *, cursor: Offset | None, expires_at: float) -> None:
        """Take in a connection that is open.

        Args:
            cursor: What it has seen; None: it starts now.
            expires_at: When its token ends: Unix time, seconds.
        """
        self._seats[seat.connection] = seat
        self._resume.begin(seat, greet=lambda of: self._hello(of, resumed=cursor is not None), cursor=cursor)
        try:
            self._lifetimes.begin(seat, expires_at=expires_at)
        except Refused:
            seat.end(TOKEN_GONE, resume=False)
        if self._draining:
            seat.end(GOING_AWAY, resume=True)

    def leave(self, seat: Seat) -> None:
        """Forget a connection that is closed."""
        if self._seats.pop(seat.connection, None) is not None:
            self._resume.drop(seat)
            self._router.leave(seat)
            if not self._seats:
                self._empty.set()

    def drained(self, seat: Seat) -> None:
        """Go on with a connection that is crowded no more."""
        self._resume.drained(seat)

    def renew(self, connection: str, *, user: UserId, session: str, expires_at: float) -> int:
        """Let a connection last as long as a new token of its person; returns the whole seconds until then.

        Args:
            session: The log-in of the new token, to which the connection belongs from now on.

        Raises:
            Refused: `route.not_found`: this process holds no such connection of this person.
        """
        seat = self._seats.get(connection)
        if seat is None or seat.user != user:
            raise Refused(Code.ROUTE_NOT_FOUND, f"there is no stream {connection} of yours")
        left = self._lifetimes.renew(seat, expires_at=expires_at)
        seat.session = session
        return left

    def revoke(self, user: UserId, *, session: str | None) -> None:
        """End the connections of a log-in that is over; None: of all of a person's."""
        self._router.flush()
        for seat in self.seats():
            if seat.user == user and session in {None, seat.session}:
                seat.end(TOKEN_GONE, resume=False)

    def bye(self, seat: Seat, *, code: int, resume: bool) -> bytes:
        """Return the last frame for a connection; nothing for one that was not told hello, which comes first."""
        if not self._resume.greeted(seat):
            return b""
        id_ = cursor_id(self._router.epoch, self._lifetimes.last(seat))
        return frame(seat.form, event=Event.BYE, id=id_, data=json_line(dump(Bye(code=code, resume=resume))))

    def reply(self, seat: Seat, *, ref: str | None, status: int, body: str | None) -> None:
        """Answer what a client asked for on its WebSocket.

        Args:
            body: JSON on one line; None: there is none.
        """
        data = b'{"ref":%b,"status":%d,"body":%b}' % (json_line(ref), status, (body or "null").encode())
        seat.write(
            frame(seat.form, event=Event.REPLY, id=cursor_id(self._router.epoch, self._lifetimes.last(seat)), data=data)
        )

    async def run(self) -> None:
        """Turn the wheel of lifetimes, once a second, until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            self._router.catch_up_position()
            self._router.flush()
            self._lifetimes.beat(self._seats)
            self._resume.expire()

    async def drain(self) -> None:
        """Say goodbye to everybody, to be resumed elsewhere, and wait until they have gone, for a few seconds."""
        self._draining = True
        self._router.flush()
        _log.info("hub.drained", connections=len(self._seats))
        for seat in self.seats():
            seat.end(GOING_AWAY, resume=True)
        if self._seats:
            self._empty.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._empty.wait()

    async def _deliver_when_known(self, note: DeliveredNote) -> None:
        try:
            await self._router.mirror.load(note.chat)
        except Refused as refused:
            _log.warning("delivered.lost", chat=note.chat, reason=str(refused))
        else:
            self._router.deliver(note)
            self._wake()
        finally:
            self._asking -= 1

    def _hello(self, seat: Seat, *, resumed: bool) -> bytes:
        hello = Hello(
            connection=seat.connection,
            user=seat.user,
            cursor=str(Cursor(self._router.epoch, seat.cursor)),
            resumed=resumed,
            heartbeat_s=HEARTBEAT_S + 1,
            server_time=timestamp(self._clock.now_ms()),
        )
        id_ = cursor_id(self._router.epoch, seat.cursor)
        return frame(seat.form, event=Event.HELLO, id=id_, data=json_line(dump(hello)))

    def _wake(self) -> None:
        if self._turn_due is None:
            wait = self._not_before - self._clock.monotonic()
            self._turn_due = self._loop.call_later(wait, self._turn) if wait > 0 else self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        started = self._clock.monotonic()
        self._turn_due = None
        self._bytes = 0
        self._router.catch_up_position()
        self._router.flush()
        self._resume.turn(most=CATCH_UPS)
        cost = self._clock.monotonic() - started
        self._not_before = started + min(max(2 * cost, min(4 * cost, _SHORTEST_S)), _LONGEST_S)
        if self._router.tick or not self._resume.idle:
            self._wake()
        elif self._resume.blocked:
            self._turn_due = self._loop.call_later(POLL_S, self._turn)
