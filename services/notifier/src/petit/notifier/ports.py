"""What the live edge needs of the world, and what it may rely on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.rpc import Backlog, Do, DoneItem, TicketFor
from petit.kit.auth import Principal, Revocations
from petit.kit.limits import Budget
from petit.kit.serving import Takeover
from petit.notifier.domain.frames import Format


class Log(Protocol):
    """The feed, as the hub sees it."""

    @property
    def position(self) -> int:
        """Everything at or below this offset was handed to the hub, was erased, or concerns nobody."""
        ...

    @property
    def epoch(self) -> int:
        """The epoch of the log; 0 until the feed has started."""
        ...

    @property
    def current(self) -> bool:
        """Whether what was handed over may be called live."""
        ...

    async def wait_for(self, offset: int, *, within: float) -> bool:
        """Wait until the position has reached an offset; False if it has not within so many seconds."""
        ...


class Chats(Protocol):
    """The chat service's answers. Each reflects at least `min_offset` of the log.

    Every method raises `Refused` where the fold is not that far in time, and `Unavailable` where nobody answers.
    """

    async def memberships(
        self, users: Sequence[UserId], *, min_offset: Offset
    ) -> Mapping[UserId, Mapping[ChatId, Offset]]:
        """Return the chats of up to 1,000 people, with the offsets of joining; somebody in none may be left out."""
        ...

    async def changed(
        self, chats: Sequence[ChatId], *, after: Offset, min_offset: Offset
    ) -> tuple[frozenset[ChatId], Offset]:
        """Return which of these chats have a signal in (after, as_of], and as_of."""
        ...

    async def backlog(self, chat: ChatId, *, after: Offset, to: Offset) -> Backlog:
        """Return the newest placed signals of a chat in (after, to], at most one more than the bound."""
        ...

    async def person_backlog(self, user: UserId, *, after: Offset, to: Offset) -> Backlog:
        """Return what concerns a person by name in (after, to], member or not."""
        ...


class Gateway(Protocol):
    """Does what clients write on a WebSocket."""

    async def do(self, items: Sequence[Do]) -> Sequence[DoneItem]:
        """Do each, those of one person in order, and return what REST would have answered, in order.

        Not known to have happened if it raises; a repetition with the same ids is harmless.

        Raises:
            Unavailable: no gateway answered in time.
        """
        ...


class Tokens(Protocol):
    """Verifies access tokens."""

    @property
    def revocations(self) -> Revocations:
        """Log-ins that are over; whoever reads the log tells it."""
        ...

    async def verify(self, token: bytes) -> Principal:
        """Return whose token it is.

        Raises:
            Refused: `token.invalid` or `token.expired`.
            Unavailable: the issuer's keys cannot be had.
        """
        ...


class Tickets(Protocol):
    """Redeems tickets."""

    async def redeem(self, ticket: str) -> TicketFor | None:
        """Return what a ticket stands for, once; None if it is used, late or not ours.

        Raises:
            Unavailable: nobody can tell.
        """
        ...


class Renewals(Protocol):
    """Reaches the process that holds a stream."""

    async def renew(self, connection: str, *, user: UserId, session: str, expires_at: float) -> int:
        """Let a stream of this person last as long as a new token, and be of its log-in; returns the seconds left.

        Raises:
            Refused: `route.not_found`: there is no such stream of this person.
            Unavailable: its process does not answer.
        """
        ...


class Limits(Protocol):
    """How often somebody may ask for a stream, or about one."""

    def take(self, kind: Literal["reads"], user: UserId) -> Budget:
        """Count one more and say what is left."""
        ...

    def show(self, kind: Literal["reads"]) -> Budget:
        """Return the whole limit, for whom is not known (yet). Counts nothing."""
        ...


class RenewHere(Protocol):
    """Reaches the streams of this process. See `Renewals.renew`."""

    def __call__(self, connection: str, /, *, user: UserId, session: str, expires_at: float) -> int:
        """Let a stream of this person last as long as a new token, and be of its log-in; returns the seconds left.

        Raises:
            Refused: `route.not_found`: there is no such stream of this person here.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A stream that was asked for, by somebody who may have it."""

    user: UserId
    session: str
    """The log-in; empty if unknown."""
    expires_at: float
    """When the token ends: Unix time, seconds."""
    form: Format
    cursor: Offset | None
    """Everything up to here was seen; None: the stream starts now."""
    head: bytes
    """The head of the HTTP response."""


Door = Callable[[Opening, Takeover], None]
"""Opens a stream on the connection that the request came by."""
