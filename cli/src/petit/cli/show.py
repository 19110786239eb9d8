"""What commands print: for people, or one JSON object a line for programs."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from petit.contracts.ids import Timestamp, timestamp_ms
from petit.contracts.resources import Resource, dump

_STYLES: Final = {"name": "\x1b[1m", "soft": "\x1b[2m", "good": "\x1b[32m", "bad": "\x1b[31m", "loud": "\x1b[33m"}
_PLAIN: Final = "\x1b[0m"


def colours() -> bool:
    """Say whether standard output takes colours: only a terminal, and not where NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str) -> str:
    """Return text in a style (`name soft good bad loud`) if standard output takes colours."""
    return f"{_STYLES[style]}{text}{_PLAIN}" if colours() else text


def line(text: str) -> None:
    """Print one line at once: it may be read by another program as it comes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def record(value: Resource | Mapping[str, Any], **more: object) -> None:
    """Print one JSON object on one line."""
    fields = dump(value) if isinstance(value, Resource) else dict(value)
    line(json.dumps({**more, **fields}, ensure_ascii=False, separators=(",", ":")))


def clean(text: str) -> str:
    """Return text from elsewhere without what could command the terminal; line feeds become visible marks."""
    return "".join(char if char.isprintable() else ("⏎" if char == "\n" else "\ufffd") for char in text)


def clock_time(at: Timestamp) -> str:
    """Return the local time of day of a timestamp, as `21:04:05`."""
    return datetime.fromtimestamp(timestamp_ms(at) / 1000).astimezone().strftime("%H:%M:%S")
