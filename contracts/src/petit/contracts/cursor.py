"""The cursor: how far a client has seen everything, in one opaque word.

It is the epoch of the log and an offset in it, packed and base64url-coded without padding: 18 characters,
the same on every transport and replica, and not bound to a person. Clients keep it and give it back; they never
read it.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from struct import Struct
from typing import Final

from petit.contracts.ids import Epoch, Offset

_LAYOUT: Final = Struct(">BIQ")
_VERSION: Final = 1
MAX_TEXT: Final = 64
"""Bytes: no cursor of ours is, or ever will be, longer on the wire."""


class BadCursor(ValueError):
    """The text is not a cursor of ours."""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in one making of the log; everything at or below `offset` has been seen."""

    epoch: Epoch
    offset: Offset

    def __str__(self) -> str:
        """Return the word that clients carry."""
        packed = _LAYOUT.pack(_VERSION, self.epoch, self.offset)
        return urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a word that a client gave back.

        Raises:
            BadCursor: it is not one of ours.
        """
        if len(text) > MAX_TEXT or not text.isascii():
            raise BadCursor(text[:MAX_TEXT])
        try:
            packed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raise BadCursor(text) from None
        if len(packed) != _LAYOUT.size:
            raise BadCursor(text)
        version, epoch, offset = _LAYOUT.unpack(packed)
        if version != _VERSION:
            raise BadCursor(text)
        cursor = cls(Epoch(epoch), Offset(offset))
        if str(cursor) != text:  # base64 has several spellings of one value: only ours is a cursor
            raise BadCursor(text)
        return cursor


NOWHERE: Final = Cursor(Epoch(0), Offset(0))
"""The place of who has seen nothing of any log."""
