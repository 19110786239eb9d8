"""Who is in which chats, and who is here to see it.

A person is known from the first connection on, and stays known for a while after the last, so that a
reconnect asks nobody. Which chats a known person is in is always true as of the hub's position, except for
chats that one is *unsure* about: there something happened that only the chat's state can tell.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final, Protocol

from petit.contracts.ids import ChatId, Offset, UserId
from petit.notifier.domain.frames import Format

CAPACITY: Final = 500_000
"""What known people without a connection may cost: one for each of their chats, and `_ALONE` each."""
_ALONE: Final = 4
_FORMER: Final = 32
BEHIND: Final = 1 << 62
"""The mark of a connection that ticks pass over: it has to catch up first, or is going."""


class Seat(Protocol):
    """A connection, as the hub sees it."""

    person: "Person | None"
    """None until it is known which chats the person is in."""
    mark: int
    """The last tick that touched it, or `BEHIND`."""
    part: int
    """Which group touched it in that tick."""
    cursor: Offset
    """While behind: everything up to here was written."""
    ends: float
    """When its token does: monotonic seconds."""
    looks: int
    """How often a time to look at it was set; only the last one counts."""
    warned: bool
    """Whether it was told that it ends soon."""

    session: str
    """The log-in that its token belongs to; empty if unknown."""

    @property
    def connection(self) -> str:
        """Its id, as in `hello`."""
        ...

    @property
    def user(self) -> UserId:
        """Whose it is."""
        ...

    @property
    def form(self) -> Format:
        """How it wants its frames."""
        ...

    @property
    def crowded(self) -> bool:
        """Whether more waits to be sent than a connection that keeps up has; `Hub.drained` says when no more."""
        ...

    def opened(self) -> None:
        """Take note that hello was written: what the client says is listened to from now on."""
        ...

    def write(self, data: bytes, /) -> None:
        """Send frames, or keep them until they can be sent; never blocks."""
        ...

    def end(self, code: int, *, resume: bool) -> None:
        """Say `bye` and close; twice is once."""
        ...


class Person:
    """Somebody who has, or recently had, a connection."""

    __slots__ = ("chats", "former", "seats", "unsure", "user")

    def __init__(self, user: UserId, *, chats: dict[ChatId, Offset]) -> None:
        self.user = user
        self.chats = chats
        """The chats that the person is in, with the offset of joining."""
        self.former: deque[tuple[ChatId, Offset, Offset]] = deque(maxlen=_FORMER)
        """Memberships that ended while the person was here: the chat, the joining, the leaving; the last ones."""
        self.seats: list[Seat] = []
        self.unsure: frozenset[ChatId] = frozenset()
        """Chats whose state has to be asked whether the person is in them."""

    def was_in(self, chat: ChatId, offset: Offset) -> bool:
        """Say whether a membership that ended while the person was here held at an offset."""
        return any(chat == left and joined <= offset < ended for left, joined, ended in self.former)


class Audience:
    """The connections that see a chat, by format."""

    __slots__ = ("seats",)

    def __init__(self) -> None:
        self.seats: dict[Format, set[Seat]] = {}

    def add(self, seat: Seat) -> None:
        """Let a connection see the chat."""
        self.seats.setdefault(seat.form, set()).add(seat)

    def remove(self, seat: Seat) -> None:
        """Let a connection see the chat no more."""
        seats = self.seats.get(seat.form)
        if seats is not None:
            seats.discard(seat)
            if not seats:
                del self.seats[seat.form]

    def __bool__(self) -> bool:
        return bool(self.seats)

    def __iter__(self) -> Iterator[Seat]:
        for seats in self.seats.values():
            yield from seats


class People:
    """Everybody who is known here, and the audience of every chat that somebody here sees."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._here: dict[UserId, Person] = {}
        self._away: OrderedDict[UserId, Person] = OrderedDict()
        self._cost = 0
        self._audiences: dict[ChatId, Audience] = {}
        self._unsure: dict[ChatId, set[Person]] = {}

    def get(self, user: UserId) -> Person | None:
        """Return a known person."""
        return self._here.get(user) or self._away.get(user)

    def here(self, user: UserId) -> Person | None:
        """Return a person who has a connection."""
        return self._here.get(user)

    def audience(self, chat: ChatId) -> Audience | None:
        """Return who sees a chat; None if nobody."""
        return self._audiences.get(chat)

    def know(self, person: Person) -> None:
        """Know somebody from now on, without a connection yet."""
        self._away[person.user] = person
        self._cost += _ALONE + len(person.chats)

    def forget(self, user: UserId) -> bool:
        """Know a person no more; False for those who have a connection, who stay, and strangers."""
        person = self._away.pop(user, None)
        if person is None:
            return False
        self._cost -= _ALONE + len(person.chats)
        for chat in person.unsure:
            self._unsure[chat].discard(person)
        return True

    def surplus(self) -> list[UserId]:
        """Return whom to forget, longest away first, to stay within the capacity."""
        over, users = self._cost - self._capacity, list[UserId]()
        for user, person in self._away.items():
            if over <= 0:
                break
            over -= _ALONE + len(person.chats)
            users.append(user)
        return users

    def sit(self, seat: Seat, *, person: Person) -> list[ChatId]:
        """Seat a connection of a known person; returns the chats that nobody saw before."""
        if self._away.pop(person.user, None) is not None:
            self._cost -= _ALONE + len(person.chats)
            self._here[person.user] = person
        seat.person = person
        person.seats.append(seat)
        return [chat for chat in person.chats if self._show(chat, seat)]

    def leave(self, seat: Seat) -> list[ChatId]:
        """Take a connection away; returns the chats that nobody sees any more."""
        person = seat.person
        if person is None or seat not in person.seats:
            return []
        person.seats.remove(seat)
        if not person.seats:
            del self._here[person.user]
            person.former.clear()
            self.know(person)
        return [chat for chat in person.chats if self._hide(chat, seat)]

    def enter(self, person: Person, *, chat: ChatId, offset: Offset) -> bool:
        """Make a person a member of a chat; True if nobody saw it before and somebody does now."""
        if not person.seats and chat not in person.chats:
            self._cost += 1
        person.chats[chat] = offset
        first = False
        for seat in person.seats:
            first |= self._show(chat, seat)
        return first

    def exit(self, person: Person, *, chat: ChatId, offset: Offset | None) -> bool:
        """Make a person no member of a chat; True if nobody sees it any more and somebody did.

        Args:
            offset: Where the membership ended; None: that is not known.
        """
        joined = person.chats.pop(chat, None)
        if joined is None:
            return False
        if not person.seats:
            self._cost -= 1
        elif offset is not None:
            person.former.append((chat, joined, offset))
        last = False
        for seat in person.seats:
            last |= self._hide(chat, seat)
        return last

    def doubt(self, person: Person, *, chat: ChatId) -> None:
        """Note that only the chat's state tells whether a person is in it."""
        person.unsure |= {chat}
        self._unsure.setdefault(chat, set()).add(person)

    def doubted(self, chat: ChatId) -> set[Person]:
        """Return, once, who has to be asked about in a chat: it is being told now."""
        persons = self._unsure.pop(chat, set())
        for person in persons:
            person.unsure -= {chat}
        return persons

    def _show(self, chat: ChatId, seat: Seat) -> bool:
        audience = self._audiences.get(chat)
        if audience is not None:
            audience.add(seat)
            return False
        audience = self._audiences[chat] = Audience()
        audience.add(seat)
        return True

    def _hide(self, chat: ChatId, seat: Seat) -> bool:
        audience = self._audiences.get(chat)
        if audience is None:
            return False
        audience.remove(seat)
        if audience:
            return False
        del self._audiences[chat]
        return True
