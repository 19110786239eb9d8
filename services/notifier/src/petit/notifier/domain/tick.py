"""One tick: what came since the last one, handed to every connection it concerns in one write each.

A connection that one group of frames concerns gets the bytes that all of the group get; one that several
concern gets their frames merged by offset. So every connection is written in the order of the log, whatever
the order of the connections.
"""

from collections.abc import Iterable
from itertools import chain
from operator import attrgetter

from petit.contracts.ids import UserId
from petit.notifier.domain.frames import Format
from petit.notifier.domain.items import Framed
from petit.notifier.domain.people import Audience, People, Person, Seat

_OFFSET = attrgetter("offset")


class Tick:
    """The frames that wait for the next flush.

    Who is in an audience is read when the tick is flushed: flush before it changes.
    """

    def __init__(self, people: People) -> None:
        self._people = people
        self._number = 0
        self._groups: dict[Audience, list[Framed]] = {}
        self._named: dict[Person, list[Framed]] = {}
        self._authors: set[Person] = set()

    def __bool__(self) -> bool:
        return bool(self._groups or self._named)

    @property
    def number(self) -> int:
        """The mark of a connection that is to be written to from the next flush on."""
        return self._number

    def add(self, item: Framed, *, audience: Audience | None, named: Iterable[Person] = ()) -> None:
        """Let an item wait, for an audience and for some people by name (who may be in it as well)."""
        if audience:
            self._groups.setdefault(audience, []).append(item)
            if item.nonce is not None:
                author = self._people.here(item.by)
                if author is not None:
                    self._authors.add(author)
        for person in named:
            self._named.setdefault(person, []).append(item)

    def flush(self) -> None:
        """Write everything that waits."""
        groups = self._groups
        if len(groups) == 1 and not self._named and not self._authors:
            ((audience, items),) = groups.items()
            self._number += 2
            for form, seats in audience.seats.items():
                data = joined(items, form)
                for seat in seats:
                    if seat.mark < self._number:
                        seat.write(data)
        elif groups or self._named:
            self._merge()
        self._groups = {}
        self._named = {}
        self._authors = set()

    def _merge(self) -> None:
        self._number += 2
        several = self._touch()
        for audience, items in self._groups.items():
            for form, seats in audience.seats.items():
                data = joined(items, form)
                for seat in seats:
                    if seat.mark == self._number:
                        seat.write(data)
        self._write_several(several)

    def _touch(self) -> dict[Seat, list[int]]:
        """Mark whom one group concerns; return who gets something of their own, and the groups that it is made of."""
        tick = self._number
        several: dict[Seat, list[int]] = {}
        for person in chain(self._named, self._authors):
            for seat in person.seats:
                if seat.mark < tick:
                    seat.mark = tick + 1
                    several[seat] = []
        for number, audience in enumerate(self._groups):
            for seat in audience:
                mark = seat.mark
                if mark < tick:
                    seat.mark = tick
                    seat.part = number
                elif mark == tick:
                    seat.mark = tick + 1
                    several[seat] = [seat.part, number]
                elif mark == tick + 1:
                    several[seat].append(number)
        return several

    def _write_several(self, several: dict[Seat, list[int]]) -> None:
        groups = list(self._groups.values())
        shared: dict[tuple[int, ...], bytes] = {}
        for seat, numbers in several.items():
            person = seat.person
            if person is not None and (person in self._named or person in self._authors):
                items = chain(*(groups[number] for number in numbers), self._named.get(person, ()))
                data = joined(in_order(items), seat.form, author=seat.user)
            else:
                key = (seat.form, *numbers)
                if key not in shared:
                    shared[key] = joined(in_order(chain(*(groups[number] for number in numbers))), seat.form)
                data = shared[key]
            if data:
                seat.write(data)


def in_order(items: Iterable[Framed]) -> list[Framed]:
    """Return items ascending by offset, each once; notes stay behind the item that they were made at."""
    return list(dict.fromkeys(sorted(items, key=_OFFSET)))


def joined(items: Iterable[Framed], form: Format, *, author: UserId | None = None) -> bytes:
    """Return the bytes of several frames.

    Args:
        author: Whose devices they are for: the frames of that person's signals carry the nonce.
    """
    if author is None:
        return b"".join([item.frame(form) for item in items])
    return b"".join([item.frame(form, own=item.by == author) for item in items])
