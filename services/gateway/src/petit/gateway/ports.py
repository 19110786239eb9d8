"""What the gateway needs of the world, and what each of it guarantees.

`petit.kit` has the log, the feed, the mirror, tokens and tickets as they are described here; adapters bring
the chat service, the people directory and the limits. Everything may raise `Unavailable` (kit's `Outage` is
one): temporary, told to the client as 503 and retried by the client, because whatever has its own retries
has used them up by then.
"""

from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import SecretStr

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
from petit.gateway.domain.accounts import Grant
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

    async def end(self) -> int:
        """Return the offset of the newest entry, as the log itself has it: this process's feed may be behind.

        Raises:
            Unavailable: the log cannot be asked.
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
    next: str | None
    """A word for that place, which tells nothing to anybody else; None at the end."""


class Directory(Protocol):
    """People, as the issuer of tokens knows them."""

    async def find(self, prefix: str, *, after: str | None, limit: int) -> PeoplePage:
        """Return people whose username begins so, in any case, by username; nobody is found by anything else.

        Who is there from the first page to the last is on exactly one of them, whoever comes and goes meanwhile.

        Args:
            prefix: Empty for everybody.
            after: `next` of the page before; None for the first.
            limit: At most so many.

        Raises:
            Refused: `request.invalid`: `after` is no word of ours.
            Unavailable: the directory does not answer.
        """

    async def get(self, user: UserId) -> Person | None:
        """Return somebody; None if there is no such person.

        Raises:
            Unavailable: the directory does not answer.
        """


class Accounts(Protocol):
    """The issuer, where people sign up, log in and log out. It keeps passwords; here they only pass."""

    async def sign_up(self, username: str, *, password: SecretStr, name: str | None) -> Person:
        """Make an account.

        Raises:
            Refused: `conflict.state`: the username is taken; `request.invalid`: it, or the password, will not do.
            Unavailable: the issuer does not answer.
        """

    async def log_in(self, username: str, *, password: SecretStr) -> Grant:
        """Begin a log-in.

        Raises:
            Refused: `credentials.invalid`, or `rate.limited`.
            Unavailable: the issuer does not answer.
        """

    async def go_on(self, refresh_token: SecretStr) -> Grant:
        """Return new tokens for a log-in.

        Raises:
            Refused: `credentials.invalid`: the log-in is over, or the token is none.
            Unavailable: the issuer does not answer.
        """

    async def log_out(self, session: str) -> None:
        """End a log-in by its `sid`; one that is over stays so.

        Raises:
            Unavailable: the issuer does not answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Something that ended a log-in."""

    user: UserId
    session: str | None
    """The log-in (`sid`); None: all that the person had at that time."""
    at_ms: int
    """When, by the issuer's clock: Unix milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Some of what has ended since a time."""

    endings: Sequence[Ending]
    """In the order of time."""
    until_ms: int
    """When the last thing happened that was looked at for this, by the issuer's clock: Unix milliseconds."""


class Endings(Protocol):
    """What the issuer has noted of log-ins that ended."""

    def ended(self, since_ms: int) -> AsyncIterator[Ended]:
        """Tell all that has ended since a time, part by part; nothing where nothing has.

        Each part is as large as one answer of the issuer, however much there is. What is noted while it is told may be
        left out, and what happened at a time may be noted somewhat later.

        Raises:
            Unavailable: the issuer does not answer.
        """


Kind = Literal["reads", "writes", "logins"]


class Limits(Protocol):
    """How often somebody may do something."""

    def take(self, kind: Kind, user: str) -> Budget:
        """Count one more of a person, or of whatever else stands for who asks, and say what is left."""

    def show(self, kind: Kind) -> Budget:
        """Return the whole limit, for whom is not known (yet). Counts nothing."""


class Clock(Protocol):
    """What time it is."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
