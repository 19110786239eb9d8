"""What the API answers with: the shapes of API section 2, 3 and 5, one model each.

Fields that are absent on the wire when they do not apply have a default of None and are left out; fields
that are `null` on the wire are declared so. `dump` is the one way to write them.
"""

from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue

from petit.contracts.ids import ChatId, Offset, Seq, SignalId, Timestamp, UserId
from petit.contracts.signals import ChatKind, Role

T = TypeVar("T")


class Resource(BaseModel):
    """A shape of the wire; fields named in `ABSENT` are left out where they are None."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="ignore")
    ABSENT: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        return {name: value for name, value in fields.items() if value is not None or name not in self.ABSENT}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: object, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the fields, which pydantic cannot see behind a serializer: always there, but for `ABSENT`."""
        known = cast("dict[str, Any]", core)  # pydantic_core has the type's name, which only pydantic may import here
        plain: Any = {name: value for name, value in known.items() if name != "serialization"}
        schema = handler.resolve_ref_schema(handler(plain))
        fields: dict[str, Any] = schema.get("properties", {})
        schema["required"] = [name for name in fields if name not in cls.ABSENT]
        for field in fields.values():
            field.pop("default", None)
        for name in cls.ABSENT & fields.keys():
            kept = [one for one in fields[name].pop("anyOf", ()) if one != {"type": "null"}]
            fields[name] |= {"anyOf": kept} if len(kept) > 1 else dict(*kept)
        return schema


class Deleted(Resource):
    """When a message was deleted for everyone, and by whom."""

    at: Timestamp
    by: UserId


class ReactionCount(Resource):
    """One emoji on a message."""

    emoji: str
    count: int
    mine: bool


class Message(Resource):
    """One message, as history, previews and sends' readers see it."""

    ABSENT: ClassVar[frozenset[str]] = frozenset({"nonce", "thread", "reply_to", "edited_at", "deleted"})

    id: SignalId
    seq: Seq
    offset: Offset
    chat: ChatId
    by: UserId
    at: Timestamp
    text: str = ""
    nonce: str | None = None
    """Only to its author."""
    thread: SignalId | None = None
    reply_to: SignalId | None = None
    files: tuple[str, ...] = ()
    mentions: tuple[UserId, ...] = ()
    reactions: tuple[ReactionCount, ...] = ()
    edited_at: Timestamp | None = None
    deleted: Deleted | None = None


class Chat(Resource):
    """One chat as its viewer sees it; `role`, `joined_offset` and `last` are null to a room's visitors."""

    id: ChatId
    kind: ChatKind
    title: str | None
    about: str | None
    history: Literal["all", "joined"]
    created_at: Timestamp
    members_count: int
    role: Role | None
    joined_offset: Offset | None
    head_seq: Seq
    """0 where there is no message."""
    marker: Seq
    """How far the viewer has read."""
    unread: int
    """Visible, undeleted messages by others after `marker`; 0 to 100."""
    last: Message | None
    muted_until: Timestamp | None = None


class Member(Resource):
    """One member of a chat."""

    user: UserId
    role: Role
    joined_at: Timestamp


class Sent(Resource):
    """The answer to a send: it is stored. The fold decides its seq."""

    ABSENT: ClassVar[frozenset[str]] = frozenset({"nonce"})

    id: SignalId
    chat: ChatId
    by: UserId
    at: Timestamp
    offset: Offset
    nonce: str | None = None


class History(Resource):
    """A stretch of a chat, ascending by seq."""

    items: tuple[Message, ...]
    head_seq: Seq
    """The newest message's seq; 0 in an empty chat."""
    first_seq: Seq
    """The oldest seq that the viewer may see; 0 in an empty chat."""


class JoinAnswer(Resource):
    """What a join answers: the chat, its last 50 messages, and where the stream goes on without a gap."""

    chat: Chat
    recent: tuple[Message, ...]
    """Ascending by seq, at most 50."""
    cursor: str


class Page(Resource, Generic[T]):
    """A stretch of a list."""

    items: tuple[T, ...]
    next: str | None
    """The cursor of the next page; null at the end."""


class SeenBy(Resource):
    """How far one member is with a message."""

    user: UserId
    seen: bool
    delivered: bool


class Person(Resource):
    """Somebody."""

    id: UserId
    username: str
    name: str
    status: str | None = None


class Me(Person):
    """Myself, with my roles (Keycloak's realm roles: USER, ADMIN)."""

    roles: tuple[str, ...]


class Ticket(Resource):
    """A word that opens one stream, once."""

    ticket: str
    expires_in: int
    """Seconds."""


class SignalFrame(Resource):
    """The data of a `signal` frame. `data` is absent on thin streams, `href` on full ones.

    In `left`, `data.owner` names who became owner because the last one went.
    """

    ABSENT: ClassVar[frozenset[str]] = frozenset({"seq", "chat", "person", "all", "nonce", "data", "href"})

    offset: Offset
    seq: Seq | None = None
    id: SignalId
    type: str
    chat: ChatId | None = None
    person: UserId | None = None
    all: bool | str | None = None
    by: UserId
    at: Timestamp
    nonce: str | None = None
    """On the author's own devices only."""
    data: dict[str, Any] | None = None
    href: str | None = None


class Hello(Resource):
    """The first frame on every connection."""

    connection: str
    user: UserId
    cursor: str
    resumed: bool
    heartbeat_s: int
    server_time: Timestamp


class Gap(Resource):
    """More was missed in this chat than the backlog bound: page it from `href`."""

    chat: ChatId
    after_offset: Offset
    to_offset: Offset
    href: str


class Heartbeat(Resource):
    """Nothing happened up to `head`."""

    head: Offset


class Expiring(Resource):
    """The token ends soon: renew it in place."""

    expires_in: int
    """Seconds."""


class Bye(Resource):
    """The last frame before the server closes."""

    code: int
    resume: bool


def dump(resource: Resource) -> dict[str, Any]:
    """Return a resource as the JSON object that goes on the wire."""
    return resource.model_dump(mode="json")
