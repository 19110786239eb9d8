"""What a message of a load run says: its number and when it was due, behind a mark that scanning finds.

The text of a message is `~<run>~<number, 9 digits> <due, 18 digits> xxx…`. Splitting received bytes at the mark
yields pieces that begin with the number: a delivery is recognised without parsing a frame.
"""

from dataclasses import dataclass
from typing import Final

NUMBER_DIGITS: Final = 9
DUE: Final = slice(10, 28)
"""Where in a piece the due time stands: monotonic nanoseconds, zero-padded."""
_MARK_SIZE: Final = 10
MIN_SIZE: Final = _MARK_SIZE + DUE.stop + 1
"""Bytes: the shortest text that holds mark, number and due time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """How the texts of one run look."""

    mark: bytes
    """10 ASCII bytes, different in every run, that occur nowhere else on the wire."""
    size: int
    """Bytes of every text."""

    @classmethod
    def of(cls, run: str, *, size: int) -> "Stamp":
        """Make the stamp of a run.

        Args:
            run: 8 hexadecimal digits.
            size: bytes of every text, at least `MIN_SIZE`.

        Raises:
            ValueError: run or size do not fit.
        """
        mark = f"~{run}~".encode("ascii")
        if len(mark) != _MARK_SIZE:
            raise ValueError(f"run {run!r} is not 8 characters")
        if size < MIN_SIZE:
            raise ValueError(f"a text of {size} bytes has no room for its stamp: {MIN_SIZE} at least")
        return cls(mark=mark, size=size)

    def text(self, number: int, *, due: int) -> bytes:
        """Compose the text of a message.

        Args:
            number: which message of the run, from 0.
            due: monotonic nanoseconds at which its send was scheduled.
        """
        return b"%b%09d %018d %b" % (self.mark, number, due, b"x" * (self.size - MIN_SIZE))
