"""What the gateway needs of the world, and what each of it guarantees.

`petit.kit` has the log, the feed, the mirror, tokens and tickets as they are described here; adapters bring
the chat service, the people directory and the limits. Everything may raise `Unavailable` (kit's `Outage` is
one): temporary, told to the client as 503 and retried by the client, because whatever has its own retries
has used them up by then.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.resources import Chat, History, Message, Person
from petit.contracts.rpc import (
    ChatAsk,
    Delivered,
    HistoryAsk,
    MembersAsk,
    MembersPage,
    MessageAsk,
    MineAsk,
    MinePage,
    Propose,
    Proposed,
    RoomsAsk,
    RoomsPage,
    SentAsk,
    SentBefore,
    ViewsPage,
)
from petit.contracts.rules import ChatState
from petit.kit.auth import LogoutToken, Principal, Revocations
from petit.kit.limits import Budget

T = TypeVar("T")
TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The trace that the running request belongs to; adapters pass it on to whom they ask."""


class StoredAt(Protocol):
    """What the log says of an append."""

    @property
    def offset(self) -> int:
        """Where the signal is; for a duplicate, where the first one is."""

    @property
    def duplicate(self) -> bool:
        """The id was stored before, perhaps by an earlier attempt of this very append."""


class Entry(Protocol):
    """A stored signal."""

    @property
    def offset(self) -> int:
        """Its place in the log."""

    @property
    def subject(self) -> str:
        """What it is stored under."""

    @property
    def payload(self) -> bytes:
        """The signal, as JSON."""


class Log(Protocol):
    """The truth: what was acknowledged is stored."""

    async def append(self, subject: str, payload: bytes, *, msg_id: str) -> StoredAt:
        """Store a signal once, however often it is tried; no attempt is written later than 10 s after the call.

        Raises:
            Unavailable: it is not known to be stored; a repeat with the same id finds out.
        """

    async def read(self, offset: int) -> Entry | None:
        """Return what is stored, from the log's leader; None if erased or trimmed.

        Raises:
            Unavailable: the log cannot be read now.
        """

    async def clock_skew(self) -> float:
        """Return by how many seconds our clock is ahead of the log's.

        Raises:
            Unavailable: the log cannot be asked.
        """


class Feed(Protocol):
    """How far this process has read the log."""

    @property
    def position(self) -> int:
        """Everything at or below this offset has been delivered here."""

    @property
    def epoch(self) -> int:
        """Which making of the log this is."""

    @property
    def lag_s(self) -> float:
        """Seconds since the newest moment at which everything then in the log had been delivered."""

    async def wait_for(self, offset: int, *, within: float) -> bool:
        """Wait until `position` has reached an offset; False if it has not within so many seconds."""


class Mirror(Protocol):
    """The states of chats as of the feed's position. What is not held says nothing; never change a state."""

    def get(self, chat: ChatId) -> ChatState | None:
        """Return a chat's state if it is held."""

    async def load(self, chat: ChatId) -> ChatState:
        """Return a chat's state, asking chat where it is not held; `kind` is None where there is no such chat.

        Raises:
            Unavailable: it is not held and chat does not answer.
        """


class Tokens(Protocol):
    """Who an access token speaks for."""

    @property
    def revocations(self) -> Revocations:
        """Log-ins that are over, whose tokens are refused; whoever reads the log tells it."""

    def cached(self, token: bytes) -> Principal | None:
        """Return whom a token that was verified before, and is valid still, speaks for."""

    async def verify(self, token: bytes) -> Principal:
        """Return whom a token speaks for.

        Raises:
            Refused: `token.invalid` or `token.expired`.
            Unavailable: the issuer's keys cannot be had.
        """

    async def verify_logout(self, token: bytes) -> LogoutToken:
        """Return what a logout token of the issuer says.

        Raises:
            Refused: `token.invalid` or `token.expired`.
            Unavailable: the issuer's keys cannot be had.
        """


class Tickets(Protocol):
    """Words that open one stream, once, within seconds."""

    async def issue(self, value: bytes) -> str:
        """Return a new word for a value.

        Raises:
            Unavailable: it cannot be kept now.
        """


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """An answer of the chat service."""

    body: T
    as_of: Offset
    """The lowest offset that all it was read from reflects."""


class Chats(Protocol):
    """The chat service: it decides commands, and answers questions about what the viewer may see, authorised there.

    Every method raises `Refused` with the problem that the service answers (`chat.not_found` and `read.behind`
    among them), and `Unavailable` when nobody answers in time.
    """

    async def propose(self, ask: Propose) -> Found[Proposed]:
        """Have a signal of the member family stored; the fold's verdict. A retry with its id gets the same one."""

    async def chat(self, ask: ChatAsk) -> Found[Chat]:
        """One chat; `role` is None for a room's visitor."""

    async def members(self, ask: MembersAsk) -> Found[MembersPage]:
        """A stretch of its members, longest-standing first."""

    async def history(self, ask: HistoryAsk) -> Found[History]:
        """A stretch of its messages, ascending."""

    async def message(self, ask: MessageAsk) -> Found[Message]:
        """One message."""

    async def views(self, ask: MessageAsk) -> Found[ViewsPage]:
        """How far members are with a message, by user id."""

    async def mine(self, ask: MineAsk) -> Found[MinePage]:
        """The viewer's chats, latest activity first."""

    async def rooms(self, ask: RoomsAsk) -> Found[RoomsPage]:
        """Listed rooms, by title."""

    async def sent(self, ask: SentAsk) -> Found[SentBefore]:
        """What became of this person's signal with this id; knows for ever, also of erased ones."""

    async def delivered(self, ask: Delivered) -> None:
        """Move delivered markers forward, never back."""


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Some people, and where the next ones begin."""

    items: tuple[Person, ...]
    next: int | None
    """None at the end."""


class Directory(Protocol):
    """People, as the issuer of tokens knows them."""

    async def find(self, prefix: str, *, start: int, limit: int) -> PeoplePage:
        """Return people whose username begins so, in any case, by username.

        Args:
            prefix: Empty for everybody.
            start: `next` of the page before; 0 for the first. People who come meanwhile may shift it.
            limit: At most so many.

        Raises:
            Unavailable: the directory does not answer.
        """

    async def get(self, user: UserId) -> Person | None:
        """Return somebody; None if there is no such person.

        Raises:
            Unavailable: the directory does not answer.
        """


Kind = Literal["reads", "writes"]


class Limits(Protocol):
    """How often somebody may do something."""

    def take(self, kind: Kind, user: UserId) -> Budget:
        """Count one more and say what is left."""

    def show(self, kind: Kind) -> Budget:
        """Return the whole limit, for whom is not known (yet). Counts nothing."""


class Clock(Protocol):
    """What time it is."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
