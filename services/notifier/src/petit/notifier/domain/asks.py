"""What a client writes on its WebSocket: `{"do": …, "ref": …, …}` (API.md, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from petit.contracts.problems import FieldError, invalid, wrong

FORWARDED: Final = frozenset({"send", "view", "delivered"})
"""What a gateway does, the same as by REST."""
MAX_REF: Final = 128


class _Head(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, hide_input_in_errors=True)

    do: str
    ref: Annotated[str, Field(max_length=MAX_REF)] | None = None


_OBJECT: Final = TypeAdapter(dict[str, Any])


class BadFrame(ValueError):
    """The frame is none that a client of ours could mean: the connection is closed with 4400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One thing that a client asks for."""

    do: str
    ref: str | None
    """The client's own mark, repeated in the reply."""
    text: str
    """The whole frame, a JSON object: whoever does it reads the rest."""

    def body(self) -> dict[str, Any]:
        """Return everything in the frame but `do` and `ref`."""
        return {name: value for name, value in _OBJECT.validate_json(self.text).items() if name not in {"do", "ref"}}


def read_ask(text: bytes) -> Ask:
    """Read a text frame.

    Raises:
        BadFrame: it is no JSON object that says what to do, or its `ref` is no text of up to 128 characters.
    """
    try:
        decoded = text.decode()
        head = _Head.model_validate_json(text)
    except (UnicodeDecodeError, ValidationError):
        raise BadFrame(
            f"a frame is a JSON object with a text `do`, and a `ref` of up to {MAX_REF} characters"
        ) from None
    return Ask(do=head.do, ref=head.ref, text=decoded)


def token_in(body: Mapping[str, object]) -> str | None:
    """Return the token that a renewal brings along; None if it brings none.

    Raises:
        Refused: `request.invalid`: the token is no text, or there is something else.
    """
    others = [FieldError(pointer=f"/{name}", detail="no such field") for name in body if name != "token"]
    if others:
        raise invalid(others)
    token = body.get("token")
    if token is not None and not isinstance(token, str):
        raise wrong("/token", "the token must be text")
    return token
