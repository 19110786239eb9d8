"""How long connections last: heartbeats, the warning before a token ends, and the end.

One wheel turns for all connections, once a second. A heartbeat's id is a cursor, so it claims that
everything up to there was written: it is left out for those who are behind, and while the feed is not current.
"""

from collections.abc import Callable, Mapping
from typing import Final

from petit.contracts.ids import Offset
from petit.contracts.problems import Code, Refused
from petit.contracts.resources import Expiring, Heartbeat, dump
from petit.kit.clock import Clock
from petit.notifier.domain.frames import Event, Format, cursor_id, frame, json_line
from petit.notifier.domain.people import BEHIND, Seat
from petit.notifier.domain.wheel import Wheel
from petit.notifier.handlers.router import Router

HEARTBEAT_S: Final = 20
"""At most so many seconds and one between two heartbeats; clients are promised 25."""
WARNING_S: Final = 30
"""How long before its token ends a connection is told."""
TOKEN_ENDS: Final = 4409


class Lifetimes:
    """The ends of connections, and the pulse until then.

    Args:
        greeted: Whether a connection was told hello: nothing comes before.
    """

    def __init__(self, router: Router, *, clock: Clock, greeted: Callable[[Seat], bool]) -> None:
        self._router = router
        self._greeted = greeted
        self._clock = clock
        self._wheel: Wheel[tuple[Seat, int]] = Wheel(now=clock.monotonic())

    def begin(self, seat: Seat, *, expires_at: float) -> None:
        """Let a connection last until its token ends, Unix time."""
        self.renew(seat, expires_at=expires_at)

    def renew(self, seat: Seat, *, expires_at: float) -> int:
        """Let a connection last until another token ends; returns the whole seconds until then.

        Raises:
            Refused: `token.expired`: that is past.
        """
        left = expires_at - self._clock.now_ms() / 1000
        if left <= 0:
            raise Refused(Code.TOKEN_EXPIRED, "the token has expired")
        seat.ends, seat.warned = self._clock.monotonic() + left, False
        self._put(seat)
        return int(left)

    def beat(self, seats: Mapping[str, Seat]) -> None:
        """Do what is due; everything routed was flushed.

        Args:
            seats: Those that have not gone, by id.
        """
        now = self._clock.monotonic()
        pulse: dict[Format, bytes] = {}
        for seat, look in self._wheel.turn(now=now):
            if seats.get(seat.connection) is not seat or seat.looks != look:
                continue
            left = seat.ends - now
            if left <= 0:
                seat.end(TOKEN_ENDS, resume=True)
                continue
            if left <= WARNING_S and not seat.warned and self._greeted(seat):
                seat.warned = True
                seat.write(self._expiring(seat, left=left))
            if seat.mark != BEHIND and self._router.log.current:
                if seat.form not in pulse:
                    pulse[seat.form] = self._heartbeat(seat.form)
                seat.write(pulse[seat.form])
            self._put(seat)

    def last(self, seat: Seat) -> Offset:
        """Return up to where everything was written to a connection."""
        return seat.cursor if seat.mark == BEHIND else self._router.flushed

    def _put(self, seat: Seat) -> None:
        now = self._clock.monotonic()
        notable = seat.ends if seat.warned else seat.ends - WARNING_S
        seat.looks += 1
        self._wheel.put((seat, seat.looks), at=min(now + HEARTBEAT_S, max(notable, now)))

    def _heartbeat(self, form: Format) -> bytes:
        head = self._router.flushed
        data = json_line(dump(Heartbeat(head=head)))
        return frame(form, event=Event.HEARTBEAT, id=cursor_id(self._router.epoch, head), data=data)

    def _expiring(self, seat: Seat, *, left: float) -> bytes:
        data = json_line(dump(Expiring(expires_in=int(left))))
        return frame(seat.form, event=Event.EXPIRING, id=cursor_id(self._router.epoch, self.last(seat)), data=data)
