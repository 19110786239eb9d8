"""Routes each entry of the log to those whom it concerns.

Whatever the mirror can decide goes into the ring and into the tick at once. A signal of a chat that the
mirror does not hold is *undecided*: neither its seq nor whether it holds is known. Then everybody who may
be concerned falls behind, and catches up when the chat is held and its history was asked.
"""

from collections.abc import Iterable
from typing import Any, Final

from petit.contracts.ids import ChatId, Epoch, Offset, UserId
from petit.contracts.rpc import DeliveredNote
from petit.contracts.rules import VIEW_AUDIENCE, ChatState, Placed
from petit.contracts.signals import ChatCreated, Joined, Left, MsgVoid, Signal, UndecodableError, decode, decode_of_chat
from petit.kit.log import Entry
from petit.kit.mirror import Mirror
from petit.notifier.domain.items import Item, Note
from petit.notifier.domain.people import BEHIND, People, Person, Seat
from petit.notifier.domain.ring import Ring
from petit.notifier.domain.tick import Tick
from petit.notifier.ports import Log

DELIVERED_S: Final = 60
"""For how long a client may show that something was delivered without asking: ephemera say so."""
_VOID: Final = b'"msg.void"'


class Router:
    """Keeps ring, people and tick true as of `seen`.

    Args:
        log: Tells the epoch, and where the feed is.
    """

    def __init__(self, mirror: Mirror, *, people: People, ring: Ring, log: Log) -> None:
        self.mirror = mirror
        self.people = people
        self.ring = ring
        self.tick = Tick(people)
        self.log = log
        self.seen = Offset(0)
        """Everything at or below was routed."""
        self.flushed = Offset(0)
        """Everything at or below was written to whoever is not behind."""
        self.arriving: dict[UserId, set[ChatId]] = {}
        """People whose chats are being asked for, with the chats where their membership moved meanwhile."""
        self._begun = False

    @property
    def epoch(self) -> Epoch:
        """The epoch of the log."""
        return Epoch(self.log.epoch)

    def begin(self) -> None:
        """Begin where the feed is; before, entries only move the mirror."""
        self.seen = self.flushed = Offset(self.log.position)
        self.ring.begin(self.seen)
        self._begun = True

    def route(self, entry: Entry) -> list[Seat]:
        """Take the next entry of the log; returns the connections that it makes fall behind."""
        step = self.mirror.on_entry(entry)
        if not self._begun:
            return []
        behind: list[Seat] = []
        under = step.under
        if under is not None and under.scope == "chat":
            chat = ChatId(under.key)
            if step.verdict is None:
                behind = self._undecided(chat, entry, member=under.kind == "member")
            elif isinstance(step.verdict, Placed) and step.signal is not None:
                self._place(chat, self._item(step.signal, entry=entry, placed=step.verdict), signal=step.signal)
        elif under is not None and under.scope == "person":
            self._to_person(UserId(under.key), entry)
        self.seen = Offset(entry.offset)
        return behind

    def flush(self) -> None:
        """Write what waits: before anybody comes, goes or falls behind, and at the end of a tick."""
        self.tick.flush()
        self.flushed = self.seen

    def catch_up_position(self) -> None:
        """Move over offsets that were erased or that nobody is concerned by; not while an entry is routed."""
        self.seen = max(self.seen, Offset(self.log.position))

    def know(self, user: UserId, *, chats: dict[ChatId, Offset]) -> None:
        """Know somebody, whose chats were asked for as of when `arriving` got its entry, or later.

        An answer may be ahead of the feed. What began only there begins here when the feed gets there.
        """
        known = {chat: joined for chat, joined in chats.items() if joined <= self.seen}
        person = Person(user, chats=known)
        moved = self.arriving.pop(user, set())
        self.people.know(person)
        self.ring.follow(user, after=self.seen)
        for chat in moved:
            state = self.mirror.get(chat)
            if state is None:
                self.people.doubt(person, chat=chat)
            else:
                self._settle(person, chat=chat, state=state)

    def sit(self, seat: Seat, *, person: Person) -> None:
        """Let a connection of a known person see the person's chats."""
        self.flush()
        for chat in self.people.sit(seat, person=person):
            self.mirror.pin(chat)

    def leave(self, seat: Seat) -> None:
        """Take a connection away."""
        for chat in self.people.leave(seat):
            self.mirror.unpin(chat)
        for user in self.people.surplus():
            self._forget(user)

    def settle(self, chat: ChatId, state: ChatState) -> None:
        """Decide, now that the chat is known, about those one was unsure of."""
        for person in self.people.doubted(chat):
            self._settle(person, chat=chat, state=state)

    def deliver(self, note: DeliveredNote) -> None:
        """Tell how far a message got; as far as reading it, in big chats the person's own devices only."""
        state = self.mirror.get(note.chat)
        if state is None or note.by not in state.members:
            return
        data: dict[str, Any] = {"type": "delivered", "chat": note.chat, "by": note.by, "expires_in": DELIVERED_S}
        ephemeral = Note(data | {"seq": note.seq}, epoch=self.epoch, offset=self.seen, by=note.by)
        if len(state.members) <= VIEW_AUDIENCE:
            self.tick.add(ephemeral, audience=self.people.audience(note.chat))
        else:
            self.tick.add(ephemeral, audience=None, named=self._here((note.by,)))

    def _place(self, chat: ChatId, item: Item, *, signal: Signal) -> None:
        match signal:
            case Joined(data=data):
                self._enter(data.user, chat=chat, offset=item.offset)
            case ChatCreated(by=by, data=data):
                for user in {by, *data.members}:
                    self._enter(user, chat=chat, offset=item.offset)
            case Left(data=data):
                self._exit(data.user, chat=chat, offset=item.offset)
            case _:
                pass
        self.ring.place(item, named=item.also)
        audience = self.people.audience(chat) if item.to_members else None
        self.tick.add(item, audience=audience, named=self._here(item.also))

    def _undecided(self, chat: ChatId, entry: Entry, *, member: bool) -> list[Seat]:
        offset = Offset(entry.offset)
        self.ring.miss(chat, offset)
        concerned: set[Seat] = set(self.people.audience(chat) or ())
        signal = decode_of_chat(entry.payload, chat=chat) if member or _VOID in entry.payload else None
        for user in _moved(signal):
            self._moved(user, chat)
            person = self.people.get(user)
            if person is not None and person.seats:
                self.people.doubt(person, chat=chat)
                self.ring.follow(user, after=offset)  # what concerns the person by name here is not known
                concerned.update(person.seats)
            elif person is not None:
                self._forget(user)
        behind = [seat for seat in concerned if seat.mark != BEHIND]
        if behind:
            self.flush()
            for seat in behind:
                seat.mark, seat.cursor = BEHIND, self.seen
        if isinstance(signal, MsgVoid):  # holds whatever the chat's state is
            item = self._item(signal, entry=entry, placed=Placed(to_members=False, also=(signal.by,)))
            self.ring.name(item, named=item.also)
            self.tick.add(item, audience=None, named=self._here(item.also))
        return behind

    def _to_person(self, user: UserId, entry: Entry) -> None:
        signal = _decoded(entry)
        if signal is not None:
            item = self._item(signal, entry=entry, placed=Placed(to_members=False, also=(user,)))
            self.ring.place(item, named=item.also)
            self.tick.add(item, audience=None, named=self._here(item.also))

    def _item(self, signal: Signal, *, entry: Entry, placed: Placed) -> Item:
        offset = Offset(entry.offset)
        return Item(signal, payload=entry.payload, epoch=self.epoch, offset=offset, placed=placed)

    def _here(self, users: Iterable[UserId]) -> list[Person]:
        return [person for user in users if (person := self.people.here(user)) is not None]

    def _enter(self, user: UserId, *, chat: ChatId, offset: Offset) -> None:
        self._moved(user, chat)
        person = self.people.get(user)
        if person is not None:
            self._admit(person, chat=chat, offset=offset)

    def _exit(self, user: UserId, *, chat: ChatId, offset: Offset) -> None:
        self._moved(user, chat)
        person = self.people.get(user)
        if person is not None:
            self._dismiss(person, chat=chat, offset=offset)

    def _settle(self, person: Person, *, chat: ChatId, state: ChatState) -> None:
        member = state.members.get(person.user)
        if member is None or member.joined_offset > self.seen:
            self._dismiss(person, chat=chat, offset=None)
        else:
            self._admit(person, chat=chat, offset=member.joined_offset)

    def _admit(self, person: Person, *, chat: ChatId, offset: Offset) -> None:
        if person.seats:
            self.flush()
        if self.people.enter(person, chat=chat, offset=offset):
            self.mirror.pin(chat)

    def _dismiss(self, person: Person, *, chat: ChatId, offset: Offset | None) -> None:
        if person.seats:
            self.flush()
        if self.people.exit(person, chat=chat, offset=offset):
            self.mirror.unpin(chat)

    def _moved(self, user: UserId, chat: ChatId) -> None:
        moved = self.arriving.get(user)
        if moved is not None:
            moved.add(chat)

    def _forget(self, user: UserId) -> None:
        if self.people.forget(user):
            self.ring.unfollow(user)


def _decoded(entry: Entry) -> Signal | None:
    try:
        return decode(entry.payload)
    except UndecodableError:
        return None


def _moved(signal: Signal | None) -> Iterable[UserId]:
    """Return whose membership a signal moves, if it holds."""
    match signal:
        case Joined(data=data) | Left(data=data):
            return (data.user,)
        case ChatCreated(by=by, data=data):
            return {by, *data.members}
        case _:
            return ()
