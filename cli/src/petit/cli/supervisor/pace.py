"""How soon to start something again that has ended: at once after an accident, slower and slower in a row."""

from typing import Final

FIRST_S: Final = 0.05
LONGEST_S: Final = 2.0
HEALTHY_S: Final = 5.0
"""What has lived this long was well; its end begins a new row."""


class Pace:
    """The pauses of one program."""

    def __init__(self) -> None:
        self._pause_s = FIRST_S

    def pause_s(self, *, lived_s: float) -> float:
        """Return how many seconds to wait before the next start."""
        if lived_s >= HEALTHY_S:
            self._pause_s = FIRST_S
        pause, self._pause_s = self._pause_s, min(LONGEST_S, self._pause_s * 2)
        return pause
