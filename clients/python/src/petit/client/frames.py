"""The frames of a stream (API section 3), typed, the same over SSE and WebSocket."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from petit.contracts.ids import ChatId, UserId
from petit.contracts.resources import Bye, Expiring, Gap, Heartbeat, Hello, Resource, SignalFrame


class FrameError(ValueError):
    """The server sent something that is not a frame of API section 3."""


class Ephemeral(Resource):
    """Something that passes: typing, presence, delivered. Best effort, without an offset of its own.

    Further fields of its type are kept in `model_extra`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="allow")

    type: str
    by: UserId
    chat: ChatId | None = None
    person: UserId | None = None
    expires_in: float | None = None
    """Seconds after which it is over."""


class Reply(Resource):
    """The answer to something that this client asked for on its WebSocket."""

    ref: str | None = None
    status: int
    body: dict[str, Any] | None = None


class Unknown(BaseModel):
    """A frame of an event that this client is too old to know; only its id matters."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="allow")


FrameData = Hello | SignalFrame | Ephemeral | Gap | Heartbeat | Expiring | Bye | Reply | Unknown
_MODELS: Final[dict[str, type[FrameData]]] = {
    "hello": Hello,
    "signal": SignalFrame,
    "ephemeral": Ephemeral,
    "gap": Gap,
    "heartbeat": Heartbeat,
    "expiring": Expiring,
    "bye": Bye,
    "reply": Reply,
}
__all__ = ["Ephemeral", "Frame", "FrameData", "FrameError", "Reply", "Unknown", "from_event", "from_socket"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame."""

    id: str
    """The cursor: everything up to here that the viewer may see was written before. Empty if the frame has none."""
    data: FrameData


class _Socketed(BaseModel):
    id: str = ""
    event: str
    data: dict[str, Any]


def from_event(cursor: str, *, event: str, data: str) -> Frame:
    """Read a frame as SSE carries it.

    Raises:
        FrameError: the data is not what the event promises.
    """
    try:
        return Frame(cursor, _MODELS.get(event, Unknown).model_validate_json(data))
    except ValidationError as error:
        raise FrameError(f"not a frame of event {event!r}: {error}") from None


def from_socket(text: str | bytes) -> Frame:
    """Read a frame as a WebSocket carries it.

    Raises:
        FrameError: it is not a frame.
    """
    try:
        outer = _Socketed.model_validate_json(text)
        return Frame(outer.id, _MODELS.get(outer.event, Unknown).model_validate(outer.data, strict=False))
    except ValidationError as error:
        raise FrameError(f"not a frame: {error}") from None
