"""What tells whether two read models hold the same: a sum over their rows, in whatever order a store gives them."""

from hashlib import sha256
from typing import Final

_SPACE: Final = 1 << 256


class Digest:
    """The digest of rows that differ from one another: equal for equal sets of rows, whoever stores them.

    Rows are added up (modulo 2^256, each by its SHA-256), so that nothing needs to be sorted or held in memory.
    That finds what was lost, doubled or changed by mistake; it is no signature.
    """

    def __init__(self) -> None:
        self._sums: dict[str, int] = {}

    def add(self, table: str, row: tuple[object, ...]) -> None:
        """Take in one row: a plain tuple of text, bytes, whole numbers and None."""
        hashed = int.from_bytes(sha256(repr(row).encode("utf-8", "surrogatepass")).digest(), "big")
        self._sums[table] = (self._sums.get(table, 0) + hashed) % _SPACE

    def hex(self) -> str:
        """Return 64 hex digits over everything taken in; tables without rows are as if they were not there."""
        return sha256(repr(sorted(self._sums.items())).encode()).hexdigest()
