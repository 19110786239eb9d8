"""Read markers are cheap on purpose: at most one `view` for each person, chat and two seconds.

The first view of a window is published at once, so that other devices follow quickly. Later ones wait; only
the furthest is kept, and it is published when the window closes. No clock here: callers say what time it is.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from petit.contracts.ids import Seq

K = TypeVar("K", bound=Hashable)
WINDOW_S: Final = 2.0
"""Seconds between two views of one person in one chat."""


@dataclass(slots=True)
class _Window:
    closes: float
    shown: Seq
    """What was published when the window opened."""
    waiting: Seq | None = None
    """The furthest view that was offered since and lies beyond `shown`."""


class Coalescer(Generic[K]):
    """The open windows, one for each key that was viewed recently; memory is bounded by the rate of views.

    Args:
        window_s: Seconds.
    """

    def __init__(self, *, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._windows: OrderedDict[K, _Window] = OrderedDict()
        """In the order in which they close."""

    def offer(self, key: K, seq: Seq, *, now: float) -> bool:
        """Take a view; say whether to publish it at once. False: it waits, or lies behind one that was offered before.

        Args:
            key: Whose marker it is, in which chat.
            seq: How far it goes.
            now: Monotonic seconds; never less than in an earlier call.
        """
        window = self._windows.get(key)
        if window is None or (window.closes <= now and window.waiting is None and seq > window.shown):
            self._open(key, seq, now=now)
            return True
        if seq > (window.shown if window.waiting is None else window.waiting):
            window.waiting = seq
        return False

    def due(self, *, now: float) -> list[tuple[K, Seq]]:
        """Close the windows whose time is up; return what waited in them, to be published now, each once."""
        publish: list[tuple[K, Seq]] = []
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if window.closes > now:
                break
            del self._windows[key]
            if window.waiting is not None:
                publish.append((key, window.waiting))
        for key, seq in publish:
            self._open(key, seq, now=now)
        return publish

    def drain(self) -> list[tuple[K, Seq]]:
        """Close all windows at once; return what waited in them."""
        waiting = [(key, window.waiting) for key, window in self._windows.items() if window.waiting is not None]
        self._windows.clear()
        return waiting

    def forget(self, key: K) -> None:
        """Close a window whose first view could not be published: the next one offered is published at once."""
        self._windows.pop(key, None)

    def next_close(self) -> float | None:
        """Return when `due` has something to do next, in monotonic seconds; None while no window is open."""
        return next(iter(self._windows.values())).closes if self._windows else None

    def _open(self, key: K, seq: Seq, *, now: float) -> None:
        self._windows.pop(key, None)
        self._windows[key] = _Window(now + self._window_s, seq)


class Marks(Generic[K]):
    """How far markers are known to be, for the keys used last.

    Args:
        capacity: Keys to remember.
    """

    def __init__(self, *, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._marks: OrderedDict[K, Seq] = OrderedDict()

    def get(self, key: K) -> Seq | None:
        """Return the furthest place known; None if nothing is known."""
        mark = self._marks.get(key)
        if mark is not None:
            self._marks.move_to_end(key)
        return mark

    def put(self, key: K, seq: Seq) -> None:
        """Move a marker forward, never back; forget the one used longest ago where there is no room."""
        if seq > self._marks.get(key, -1):
            self._marks[key] = seq
        self._marks.move_to_end(key)
        if len(self._marks) > self._capacity:
            self._marks.popitem(last=False)

    def learn(self, key: K, seq: Seq) -> None:
        """Move a marker forward if it is one of those remembered."""
        if key in self._marks:
            self.put(key, seq)
