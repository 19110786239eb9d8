"""What the processes say: into files that stay small, and warnings also onto the terminal.

Every process writes one JSON object a line to its standard error; what is no JSON (a traceback, a message
of the interpreter) counts as a warning. A full disk must not stop the services: what cannot be written is
dropped here.
"""

import contextlib
import json
import math
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

MAX_BYTES: Final = 8 * 1024 * 1024
KEPT: Final = 3
"""Older files: name.log.1 is the newest of them."""
_LOUD: Final = frozenset({"warning", "error", "critical", "exception"})
SAME_S: Final = 60.0
"""A warning that says what it said less than so many seconds ago is for the file only."""
_REMEMBERED: Final = 64
_TAIL: Final = 20
_OWN_WORDS: Final = frozenset({"event", "level", "timestamp", "logger", "exception", "stack"})
_SHOWN: Final = 400
"""Characters of a warning that a terminal is shown; the file has all of it."""
_YELLOW: Final = "\x1b[33m"
_PLAIN: Final = "\x1b[0m"


class LogFile:
    """One process's log; lines go in, old files go out."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._size = path.stat().st_size if path.exists() else 0
        self.tail: deque[str] = deque(maxlen=_TAIL)
        """The last lines, oldest first."""

    def write(self, line: str) -> None:
        """Add one line, without its line feed."""
        self.tail.append(line)
        data = (line + "\n").encode(errors="replace")
        try:
            if self._size + len(data) > self._max_bytes:
                self._rotate()
            with self._path.open("ab") as file:
                file.write(data)
        except OSError:  # a full disk must not stop the services
            return
        self._size += len(data)

    def _rotate(self) -> None:
        for number in range(KEPT - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        if self._path.exists():
            self._path.replace(self._numbered(1))
        self._size = 0

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class Terminal:
    """Where the person who typed `petit up` reads along: what is asked for on one stream, warnings on the other."""

    def __init__(self, out: TextIO, err: TextIO, *, colours: bool) -> None:
        self._out = out
        self._err = err
        self._colours = colours

    def say(self, text: str) -> None:
        """Print text."""
        _print(text, self._out)

    def warn(self, who: str, text: str) -> None:
        """Print a warning of a process."""
        prefix, suffix = (_YELLOW, _PLAIN) if self._colours else ("", "")
        _print(f"{prefix}{who}: {text}{suffix}", self._err)


def _print(text: str, stream: TextIO) -> None:
    with contextlib.suppress(OSError):  # a terminal that is gone is no reason to stop
        print(text, file=stream, flush=True)


class Journal:
    """One process's voice: a file, and the terminal for what matters."""

    def __init__(self, name: str, *, folder: Path, terminal: Terminal) -> None:
        self._name = name
        self._terminal = terminal
        self._shown: dict[str, float] = {}
        self.file = LogFile(folder / f"{name}.log")

    def take(self, line: str) -> None:
        """Take one line that the process wrote."""
        self.file.write(line)
        loud = warning_in(line)
        if loud is None:
            return
        now = time.monotonic()
        if self._shown.get(loud, -math.inf) + SAME_S > now:
            return
        self._shown[loud] = now
        while len(self._shown) > _REMEMBERED:
            del self._shown[next(iter(self._shown))]
        self._terminal.warn(self._name, loud)


def warning_in(line: str) -> str | None:
    """Return what a person should read of a line of a log; None if it is of no concern."""
    if not line.strip():
        return None
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    if not isinstance(fields, dict):
        return line
    if fields.get("level") not in _LOUD:
        return None
    details = [f"{name}={value}" for name, value in fields.items() if name not in _OWN_WORDS]
    match fields.get("exception"):
        case [{"exc_type": kind, "exc_value": value}, *_]:
            details.append(f"{kind}: {value}")
        case _:
            pass
    return " ".join([str(fields.get("event", "")), *details]).strip()[:_SHOWN]


def colours_wanted(stream: TextIO, *, environment: Mapping[str, str]) -> bool:
    """Say whether to colour what goes to a stream: only on a terminal, and not where NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
