"""What clients may write: one model for each body of the API, unknown fields refused.

REST routes and WebSocket frames are validated by the same models, strictly: a number in quotes is no number.
"""

from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from petit.contracts.ids import Seq, UserText, UuidText
from petit.contracts.signals import Role

T = TypeVar("T")
UUID5_PATTERN: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
MAX_TEXT: Final = 8_000
"""Characters (Unicode code points) of a message."""
MAX_NONCE: Final = 64
MAX_TITLE: Final = 200
MAX_ABOUT: Final = 2_000
MAX_MENTIONS: Final = 100
MAX_FILES: Final = 20
MAX_MEMBERS: Final = 1_000
"""People whom one creation brings along; more are invited, or join."""
MAX_INTEGER: Final = 2**53 - 1
"""The greatest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""


def _distinct(values: list[T]) -> list[T]:
    if len(set(values)) != len(values):
        msg = "names something twice"
        raise ValueError(msg)
    return values


_UNIQUE: Final[dict[str, Any]] = {"uniqueItems": True}
_TEXT_OR_FILES: Final[dict[str, Any]] = {
    "anyOf": [
        {"required": ["text"], "properties": {"text": {"minLength": 1}}},
        {"required": ["files"], "properties": {"files": {"minItems": 1}}},
    ]
}
_OF_A_DM: Final[dict[str, Any]] = {
    "if": {"properties": {"kind": {"const": "dm"}}},
    "then": {
        "required": ["members"],
        "properties": {"title": {"type": "null"}, "members": {"minItems": 1, "maxItems": 1}},
    },
    "else": {"properties": {"id": {"not": {"type": "string", "pattern": f"^{UUID5_PATTERN}$"}}}},
}
"""A dm is of two, has no title, and a place of its own: see `ids.dm_chat_id`."""
Title = Annotated[str, Field(min_length=1, max_length=MAX_TITLE, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line: no control characters."""
FileIds = Annotated[list[UuidText], Field(max_length=MAX_FILES, json_schema_extra=_UNIQUE), AfterValidator(_distinct)]
Mentions = Annotated[
    list[UserText], Field(max_length=MAX_MENTIONS, json_schema_extra=_UNIQUE), AfterValidator(_distinct)
]
Companions = Annotated[
    list[UserText], Field(max_length=MAX_MEMBERS, json_schema_extra=_UNIQUE), AfterValidator(_distinct)
]


class Body(BaseModel):
    """A JSON object that a client wrote."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Nothing(Body):
    """The body of a call that needs none: absent, or an empty object."""


class SendBody(Body):
    """A message to send."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=_TEXT_OR_FILES)

    id: UuidText | None = None
    """A UUIDv7 made when composing: the key by which a repeat is known."""
    nonce: Annotated[str, Field(min_length=1, max_length=MAX_NONCE)] | None = None
    """The author's own mark, echoed to the author's devices; the key where there is no id."""
    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    """1 to 8,000 characters; empty only beside files."""
    files: FileIds = Field(default_factory=list)
    reply_to: UuidText | None = None
    mentions: Mentions = Field(default_factory=list)


class CreateBody(Body):
    """A chat to create."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=_OF_A_DM)

    kind: Literal["dm", "group", "room"]
    title: Title | None = None
    """Not for a dm."""
    members: Companions = Field(default_factory=list)
    """Whom to bring along; for a dm exactly one other person."""
    id: UuidText | None = None
    """A UUIDv7: the chat's id (a dm's is made of its members), and the key by which a repeat is known."""


class UpdateBody(Body):
    """What to change of a chat; at least one field."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra={"minProperties": 1})

    title: Title = ""
    about: Annotated[str, Field(max_length=MAX_ABOUT)] = ""


class InviteBody(Body):
    """Whom to bring into a chat."""

    user: UserText


class RoleBody(Body):
    """Which role a member shall have."""

    role: Role


class MarkerBody(Body):
    """How far the caller is with a chat."""

    seq: Annotated[Seq, Field(ge=0, le=MAX_INTEGER)]


class Frame(Body):
    """What stands beside a REST body in a WebSocket frame; who reads the frame has looked at `do` and `ref`."""

    do: object = None
    ref: object = None
    chat: object = None


class SendFrame(SendBody, Frame):
    """`{"do": "send"}`."""


class MarkerFrame(MarkerBody, Frame):
    """`{"do": "view"}` and `{"do": "delivered"}`."""


class TicketBody(Body):
    """How the caller wants to open a stream."""

    cookie: bool = False
    """Set a cookie for the stream's paths instead of answering with a ticket."""
