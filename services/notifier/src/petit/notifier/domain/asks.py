"""What a client writes on its WebSocket: `{"do": …, "ref": …, …}` (API.md, section 3)."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

FORWARDED: Final = frozenset({"send", "view", "delivered"})
"""What a gateway does, the same as by REST."""
MAX_REF: Final = 128

_OBJECT: Final = TypeAdapter(dict[str, Any])


class BadFrame(ValueError):
    """The frame is none that a client of ours could mean: the connection is closed with 4400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One thing that a client asks for."""

    do: str
    ref: str | None
    """The client's own mark, repeated in the reply."""
    body: dict[str, Any]
    """Everything else in the frame."""


def read_ask(text: bytes) -> Ask:
    """Read a text frame.

    Raises:
        BadFrame: it is no JSON object that says what to do, or its `ref` is no text of up to 128 characters.
    """
    try:
        said = _OBJECT.validate_json(text)
    except ValidationError:
        raise BadFrame("a frame must be a JSON object") from None
    do, ref = said.pop("do", None), said.pop("ref", None)
    if not isinstance(do, str):
        raise BadFrame("a frame must say what to do")
    if ref is not None and not (isinstance(ref, str) and len(ref) <= MAX_REF):
        raise BadFrame(f"`ref` must be text of up to {MAX_REF} characters")
    return Ask(do=do, ref=ref, body=said)
