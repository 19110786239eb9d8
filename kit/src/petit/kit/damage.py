"""What nats-server says about files that it found damaged.

Where a block of the log cannot be read, nats-server says so once, in its log, drops what it cannot read, and serves
the rest as if nothing had happened; after the next start nobody knows any more. So what it said is kept in a
file beside the data, for `petit doctor` to say, until somebody has decided about it: restored a backup, or begun
a new epoch.

The signs are those of nats-server 2.15 (server/filestore.go, jetstream.go). What it repairs without loss, as after
a kill, is none of them.
"""

import re
from pathlib import Path
from typing import Final

_FILE: Final = "damaged.txt"
_SIGNS: Final = ("corrupt record state", "corrupt input", "Error recreating stream", "checksums do not match")
_STAMP: Final = re.compile(r"^\[\d+\] \S+ \S+ \[\w+\]\s*")


def remember(store: Path, said: str) -> None:
    """Keep the lines that tell of damage."""
    lines = [_STAMP.sub("", line) for line in said.splitlines() if any(sign in line for sign in _SIGNS)]
    if lines:
        with (store / _FILE).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in dict.fromkeys(lines))


def recall(store: Path) -> tuple[str, ...]:
    """Return what was kept, oldest first; empty if nothing is damaged."""
    try:
        return tuple((store / _FILE).read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return ()


def forget(store: Path) -> None:
    """Take it as settled."""
    (store / _FILE).unlink(missing_ok=True)
