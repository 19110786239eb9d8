"""How a room's title is compared: without regard to case, width or composition."""

from typing import Final
from unicodedata import normalize

MOST: Final = 200
"""Characters that are compared; folding makes up to eighteen of one."""


def folded(title: str) -> str:
    """Return a title, or the beginning of one, as it is compared: NFKC, case-folded (Unicode, section 3.13, D146)."""
    return normalize("NFKC", normalize("NFKC", title).casefold())[:MOST]


def listing(kind: str | None, title: str | None, *, members: int) -> str | None:
    """Return the title under which anyone can find a chat; None unless it is a room with somebody in it."""
    return folded(title or "") if kind == "room" and members else None
