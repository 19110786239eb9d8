"""Signals: everything that happens, in one versioned envelope.

A signal is a fact, stored for ever: a type may gain fields with defaults, and new types may come, but
nothing is renamed or reused. Readers ignore unknown fields and meet unknown types as `UnknownSignal`.
The offset is not in the payload: it is where the log put it.
"""

from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError

from petit.contracts.ids import ChatId, Offset, Seq, SignalId, Timestamp, UserId

ChatKind = Literal["dm", "group", "room", "match"]
Role = Literal["owner", "moderator", "member"]


class _Frozen(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="ignore")


class Envelope(_Frozen):
    """What every signal says about itself."""

    v: Literal[1] = 1
    """The version of the envelope."""
    id: SignalId
    by: UserId
    """Who did it; for signals that services derive, whom it is about."""
    at: Timestamp
    """When the gateway accepted it. Order is the log's, never this."""
    nonce: str | None = None
    """The author's own mark, shown on the author's own devices only."""


class _OfChat(Envelope):
    chat: ChatId


class MsgData(_Frozen):
    """A message's content."""

    text: str = ""
    """Up to 8,000 characters; empty only beside files."""
    files: tuple[str, ...] = ()
    reply_to: SignalId | None = None
    mentions: tuple[UserId, ...] = ()


class Msg(_OfChat):
    """Somebody said something."""

    type: Literal["msg"] = "msg"
    data: MsgData


class MsgVoidData(_Frozen):
    """Which send was overtaken, and by what."""

    message: SignalId
    offset: Offset
    """Where the send is stored."""
    reason: str
    """A `rules.VoidReason`; readers tolerate new ones."""


class MsgVoid(_OfChat):
    """A stored send broke a rule at its place in the log; only its author is told."""

    type: Literal["msg.void"] = "msg.void"
    data: MsgVoidData


class ChatCreatedData(_Frozen):
    """What a chat begins as."""

    kind: ChatKind
    title: str | None = None
    members: tuple[UserId, ...] = ()
    """Everybody who is a member from here on, the creator among them."""


class ChatCreated(_OfChat):
    """A chat began; its members are members from here on, without a `joined` each."""

    type: Literal["chat.created"] = "chat.created"
    data: ChatCreatedData


class ChatUpdatedData(_Frozen):
    """The fields that changed; one that is absent did not."""

    title: str | None = None
    about: str | None = None


class ChatUpdated(_OfChat):
    """A chat's title or description changed."""

    type: Literal["chat.updated"] = "chat.updated"
    data: ChatUpdatedData


class JoinedData(_Frozen):
    """Who came, and how."""

    user: UserId
    how: Literal["join", "invite", "match"]


class Joined(_OfChat):
    """Somebody became a member."""

    type: Literal["joined"] = "joined"
    data: JoinedData


class LeftData(_Frozen):
    """Who went, and how."""

    user: UserId
    how: Literal["leave", "removed", "banned"]


class Left(_OfChat):
    """Somebody is a member no more."""

    type: Literal["left"] = "left"
    data: LeftData


class RoleData(_Frozen):
    """Who now has which role."""

    user: UserId
    role: Role


class RoleChanged(_OfChat):
    """A member's role changed."""

    type: Literal["role"] = "role"
    data: RoleData


class ViewData(_Frozen):
    """How far somebody has read."""

    seq: Seq


class View(_OfChat):
    """A read marker moved forward."""

    type: Literal["view"] = "view"
    data: ViewData


class SessionRevokedData(_Frozen):
    """Which log-in is over."""

    session: str | None = None
    """The log-in (`sid`); None: all that the person began up to the signal's `at`."""


class SessionRevoked(Envelope):
    """A log-in is over before its tokens are: its streams close, and no edge takes its tokens any more."""

    type: Literal["session.revoked"] = "session.revoked"
    person: UserId
    data: SessionRevokedData


class OpsRulesData(_Frozen):
    """Which rules hold from here on."""

    version: int


class OpsRules(Envelope):
    """The rules of the fold change at this offset, for every reader alike."""

    type: Literal["ops.rules"] = "ops.rules"
    data: OpsRulesData


class UnknownSignal(Envelope):
    """A signal of a type that this reader is too old to know: kept, passed on, and without effect."""

    type: str
    chat: ChatId | None = None
    person: UserId | None = None
    all: bool | str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


ChatSignal = Msg | MsgVoid | ChatCreated | ChatUpdated | Joined | Left | RoleChanged | View
"""What a chat's state is folded from."""
Signal = ChatSignal | SessionRevoked | OpsRules | UnknownSignal

MODELS: Final[dict[str, type[Signal]]] = {
    "msg": Msg,
    "msg.void": MsgVoid,
    "chat.created": ChatCreated,
    "chat.updated": ChatUpdated,
    "joined": Joined,
    "left": Left,
    "role": RoleChanged,
    "view": View,
    "session.revoked": SessionRevoked,
    "ops.rules": OpsRules,
}
"""Every type that this version publishes, by name."""
_UNKNOWN: Final = "unknown"


def _tag(value: object) -> str:
    signal_type = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return signal_type if isinstance(signal_type, str) and signal_type in MODELS else _UNKNOWN


AnySignal = Annotated[
    Annotated[Msg, Tag("msg")]
    | Annotated[MsgVoid, Tag("msg.void")]
    | Annotated[ChatCreated, Tag("chat.created")]
    | Annotated[ChatUpdated, Tag("chat.updated")]
    | Annotated[Joined, Tag("joined")]
    | Annotated[Left, Tag("left")]
    | Annotated[RoleChanged, Tag("role")]
    | Annotated[View, Tag("view")]
    | Annotated[SessionRevoked, Tag("session.revoked")]
    | Annotated[OpsRules, Tag("ops.rules")]
    | Annotated[UnknownSignal, Tag(_UNKNOWN)],
    Discriminator(_tag),
]
"""The tagged union, for models that carry a signal."""
ADAPTER: Final[TypeAdapter[Signal]] = TypeAdapter(AnySignal)


class UndecodableError(ValueError):
    """The bytes are not a signal of ours: the log holds something that no version ever wrote."""


def decode(payload: bytes | str) -> Signal:
    """Read a stored signal; an unknown type is an `UnknownSignal`.

    Raises:
        UndecodableError: it is not a signal at all.
    """
    try:
        return ADAPTER.validate_json(payload)
    except ValidationError as error:
        raise UndecodableError(str(error)) from None


def decode_of_chat(payload: bytes | str, *, chat: ChatId) -> Signal | None:
    """Read what is stored under a chat's subject; None if it is no signal, or one that names another chat.

    For the fold both are the same: bytes that nobody could have meant (`rules.malformed`).
    """
    try:
        signal = decode(payload)
    except UndecodableError:
        return None
    return signal if getattr(signal, "chat", None) == chat else None


def encode(signal: Signal) -> bytes:
    """Return the bytes to store: JSON without absent fields (a `chat.updated` without what did not change)."""
    return signal.__pydantic_serializer__.to_json(signal, exclude_none=True)


def digest(signal: Signal) -> str:
    """Return what two sends with one id must share to be the same send: 32 hex digits over type, scope and content.

    Neither `at` nor `nonce` is content.
    """
    chat = getattr(signal, "chat", None)
    content = signal.data.model_dump_json(exclude_none=True) if isinstance(signal.data, BaseModel) else str(signal.data)
    return sha256(f"{signal.type}\n{chat}\n{content}".encode()).hexdigest()[:32]
