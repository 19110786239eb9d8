"""One connection: a protocol without a task, a coroutine or a queue of its own.

Frames go straight into the transport's buffer, the same bytes object for everybody. What a connection may
have waiting is bounded: beyond 256 frames or 256 KB it is told to come back and closed (4408). To a reader
that keeps up this costs nothing: only from the buffer's first mark on is anything counted.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from petit.contracts.ids import Offset, UserId
from petit.kit.serving import Taken
from petit.notifier.domain.asks import BadFrame, read_ask
from petit.notifier.domain.frames import SSE_END, Format, close_frame, count_frames
from petit.notifier.domain.people import BEHIND, Person
from petit.notifier.handlers.doings import Doings
from petit.notifier.handlers.hub import Hub
from petit.notifier.ports import Opening
from petit.notifier.sockets.inbound import BAD_FRAME, CLOSED, Inbound

FIRST_MARK: Final = 16_384
"""Bytes in the buffer from which on a connection counts as crowded, until it has read most of them."""
MOST_BYTES: Final = 262_144
MOST_FRAMES: Final = 256
TOO_SLOW: Final = 4408
CLOSING_S: Final = 2.0
"""How long a client may take to read the last words."""


class Connection(asyncio.Protocol):
    """A device's stream. See `domain.people.Seat` and `handlers.doings.Talker` for what the hub does with it."""

    __slots__ = (
        "_deaf",
        "_doings",
        "_early",
        "_ending",
        "_frames",
        "_hub",
        "_inbound",
        "_transport",
        "connection",
        "crowded",
        "cursor",
        "ends",
        "form",
        "looks",
        "mark",
        "part",
        "person",
        "session",
        "user",
        "warned",
        "write",
    )

    def __init__(self, opening: Opening, *, hub: Hub, doings: Doings) -> None:
        self._hub = hub
        self._doings = doings
        self._transport: asyncio.Transport | None = None
        self._inbound: Inbound | None = None
        self._early = b""
        self._deaf = False
        self._ending = False
        self._frames = 0
        self.connection = hub.name()
        self.user: UserId = opening.user
        self.session = opening.session
        self.form: Format = opening.form
        self.person: Person | None = None
        self.mark = BEHIND
        self.part = 0
        self.cursor = Offset(0)
        self.ends = 0.0
        self.looks = 0
        self.warned = False
        self.crowded = False
        self.write: Callable[[bytes], None] = _nothing

    def open(self, taken: Taken, *, head: bytes) -> None:
        """Begin on a connection that was taken from the HTTP server; a client is listened to after `opened`."""
        transport = taken.transport
        self._transport = transport
        if transport.is_closing():
            return
        transport.set_write_buffer_limits(high=FIRST_MARK)
        self.write = transport.write
        self.write(head)
        if self.form.websocket:
            self._early = taken.early
            transport.pause_reading()

    def opened(self) -> None:
        """See `Seat.opened`."""
        if self.form.websocket and not self._ending:
            self.listen(on=True)
            early, self._early = self._early, b""
            if early:
                self.data_received(early)

    def listen(self, *, on: bool) -> None:
        """See `Talker.listen`."""
        if self._transport is not None and not self._transport.is_closing():
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def end(self, code: int, *, resume: bool) -> None:
        """See `Seat.end`."""
        if self._ending:
            return
        last_words = self._hub.bye(self, code=code, resume=resume)
        if self.form.websocket:
            self._close(last_words + close_frame(code), at_once=False)
        else:
            self._close(last_words + SSE_END, at_once=True)

    def data_received(self, data: bytes) -> None:
        """Hear what the client says; on SSE it has nothing to say."""
        if not self.form.websocket or self._deaf:
            return
        if self._inbound is None:
            self._inbound = Inbound()
        heard = self._inbound.feed(data)
        if self._ending:
            if heard.over is not None and self._transport is not None:
                self._transport.close()
            return
        if heard.answer and heard.over is None:
            self.write(heard.answer)
        for message in heard.messages:
            try:
                self._doings.take(self, read_ask(message))
            except BadFrame:
                self.end(BAD_FRAME, resume=False)
                return
        if heard.over == CLOSED:
            self._close(heard.answer, at_once=True)
        elif heard.over is not None:
            self._deaf = True
            self.end(heard.over, resume=False)

    def pause_writing(self) -> None:
        """Begin to count: the reader does not keep up."""
        if not self._ending:
            self.crowded = True
            self._frames = 0
            self.write = self._write_crowded

    def resume_writing(self) -> None:
        """Stop counting: the reader has caught up."""
        if not self._ending and self._transport is not None:
            self.crowded = False
            self.write = self._transport.write
            self._hub.drained(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let everybody forget the connection."""
        self._ending = True
        self.mark = BEHIND
        self.write = _nothing
        self._transport = None
        self._hub.leave(self)
        self._doings.leave(self)

    def _write_crowded(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._frames += count_frames(self.form, data)
        if self._frames > MOST_FRAMES or transport.get_write_buffer_size() + len(data) > MOST_BYTES:
            self.end(TOO_SLOW, resume=True)
        else:
            transport.write(data)

    def _close(self, last_words: bytes, *, at_once: bool) -> None:
        """Send what is left to say, and close: at once, or when the client has answered, in any case soon."""
        transport = self._transport
        self._ending = True
        self.mark = BEHIND
        self.write = _nothing
        if transport is None or transport.is_closing():
            return
        transport.write(last_words)
        if at_once:
            transport.close()
        else:
            transport.resume_reading()
        asyncio.get_running_loop().call_later(CLOSING_S, transport.abort)


def _nothing(data: bytes) -> None:
    """Write to a connection that is not there any more."""
