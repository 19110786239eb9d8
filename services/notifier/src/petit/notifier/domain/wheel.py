"""One timer for everybody: a wheel of seconds with whoever is due in each."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """What is due when, to the second. Nothing is ever taken out before: who is gone is passed over when due.

    Args:
        now: Seconds, by any clock that does not go back.
    """

    def __init__(self, *, now: float) -> None:
        self._turned = int(now)
        self._due: dict[int, list[T]] = {}

    def put(self, what: T, *, at: float) -> None:
        """Make something due at a time, or a second later; at once, if that is past."""
        self._due.setdefault(max(int(at) + 1, self._turned + 1), []).append(what)

    def turn(self, *, now: float) -> list[T]:
        """Return what became due since the last turn, longest due first."""
        due: list[T] = []
        for second in range(self._turned + 1, int(now) + 1):
            due += self._due.pop(second, ())
        self._turned = max(self._turned, int(now))
        return due
