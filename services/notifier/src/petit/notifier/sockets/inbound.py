"""What comes in on a WebSocket: frames become text messages, with `websockets`' parser without I/O.

A connection makes one at its first byte: a listener who never says a word costs nothing. Whatever the
bytes are, the answer is messages, bytes to send back, or the code that the connection ends with.
"""

from dataclasses import dataclass
from typing import Final

from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

MAX_BYTES: Final = 65_536
"""The largest message, in one frame or several."""
BAD_FRAME: Final = 4400
TOO_LARGE: Final = 4413
CLOSED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What some bytes meant."""

    messages: list[bytes]
    """Text messages, complete; not yet checked to be UTF-8."""
    answer: bytes
    """What the protocol sends back: pongs, or the client's own close frame."""
    over: int | None
    """The code that the connection ends with: the client's close (1000), or what was wrong (4400, 4413)."""


class Inbound:
    """Reads one connection's frames."""

    __slots__ = ("_parts", "_protocol")

    def __init__(self) -> None:
        self._protocol = ServerProtocol(state=OPEN, max_size=MAX_BYTES)
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Heard:
        """Read some bytes; nothing more after `over`."""
        self._protocol.receive_data(data)
        messages: list[bytes] = []
        over: int | None = None
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                continue
            match event.opcode:
                case Opcode.TEXT | Opcode.CONT:
                    self._parts.append(bytes(event.data))
                    if event.fin:
                        messages.append(b"".join(self._parts))
                        self._parts.clear()
                case Opcode.BINARY:
                    over = BAD_FRAME
                    break
                case Opcode.CLOSE:
                    over = CLOSED
                case _:
                    pass
        wrong = self._protocol.parser_exc
        if wrong is not None:
            over = TOO_LARGE if isinstance(wrong, PayloadTooBig) else BAD_FRAME
        answer = b"".join(self._protocol.data_to_send()) if over in {None, CLOSED} else b""
        return Heard(messages=messages, answer=answer, over=over)
