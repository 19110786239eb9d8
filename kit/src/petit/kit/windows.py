"""Counters of the `limits` library for one event loop: no locks and no threads.

The library's own memory storage starts a thread every ten milliseconds while it is used, and locks every
key; here that cost more than the rest of a send. Counters end with their window, and are swept when as many
have come since as were left by the last sweep.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from limits.storage import Storage

_SWEEP_AT: Final = 1_024
"""Counters that are not worth sweeping."""


@dataclass(slots=True)
class Window:
    """A counter and its end."""

    count: int
    ends: float
    """By the storage's clock, seconds."""


class LoopStorage(Storage):
    """See `limits.storage.Storage`; fixed windows only.

    Args:
        monotonic: What time it is, in seconds that never go back.
    """

    STORAGE_SCHEME = None

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._windows: dict[str, Window] = {}
        self._sweep_at = _SWEEP_AT
        self.touched = Window(0, 0.0)
        """The counter that was increased last."""

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may go wrong: nothing, but the library asks."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count."""
        now = self._monotonic()
        window = self._windows.get(key)
        if window is None or window.ends <= now:
            if len(self._windows) >= self._sweep_at:
                self._sweep(now)
            window = self._windows[key] = Window(0, now + expiry)
        window.count += amount
        self.touched = window
        return window.count

    def get(self, key: str) -> int:
        """Return the count of a window that has not ended, else 0."""
        window = self._windows.get(key)
        return 0 if window is None or window.ends <= self._monotonic() else window.count

    def get_expiry(self, key: str) -> float:
        """Return when a window ends, or now."""
        window = self._windows.get(key)
        return self._monotonic() if window is None else window.ends

    def check(self) -> bool:
        """Say that it works."""
        return True

    def reset(self) -> int:
        """Forget everything; return how much it was."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget a counter."""
        self._windows.pop(key, None)

    def _sweep(self, now: float) -> None:
        self._windows = {key: window for key, window in self._windows.items() if window.ends > now}
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._windows))
