"""Cursors of lists: the place after which the next page begins, as an opaque word.

A word belongs to one list and one question (the members of *this* chat, the rooms that begin with *this*
prefix): given to another, it is refused, and so is one that was cut, changed or made up. It carries no
authority, every page is authorised anew, so a checksum is enough and no key is needed.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
_SUM: Final = 8
"""Bytes of the checksum."""
MAX_WORD: Final = 2_048
"""Characters; a place holds at most a title and an id."""


class BadWord(ValueError):
    """The text is not a cursor of this list."""


def word(place: tuple[Any, ...], *, of: str) -> str:
    """Return the word for a place.

    Args:
        place: Numbers and text, as `json` takes them.
        of: The list and its question, spelled the same for every page.
    """
    packed = json.dumps(place, ensure_ascii=False, separators=(",", ":")).encode()
    return urlsafe_b64encode(_sum(packed, of) + packed).rstrip(b"=").decode("ascii")


def place(text: str, shape: TypeAdapter[T], *, of: str) -> T:
    """Return the place that a word stands for.

    Args:
        text: What a client gave back.
        shape: What a place of this list looks like.
        of: As given to `word`.

    Raises:
        BadWord: it is not one of ours, or belongs to another list or question.
    """
    if len(text) > MAX_WORD or not text.isascii():
        raise BadWord(text[:MAX_WORD])
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise BadWord(text) from None
    if urlsafe_b64encode(raw).rstrip(b"=") != text.encode() or raw[:_SUM] != _sum(raw[_SUM:], of):
        raise BadWord(text)
    try:
        return shape.validate_json(raw[_SUM:])
    except ValidationError:
        raise BadWord(text) from None


def _sum(packed: bytes, of: str) -> bytes:
    return blake2b(of.encode() + b"\0" + packed, digest_size=_SUM).digest()
