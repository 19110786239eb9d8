"""How a room's title is compared: without regard to case, width or composition."""

from unicodedata import normalize


def folded(title: str) -> str:
    """Return a title, or the beginning of one, as it is compared: NFKC, case-folded (Unicode, section 3.13, D146)."""
    return normalize("NFKC", normalize("NFKC", title).casefold())
