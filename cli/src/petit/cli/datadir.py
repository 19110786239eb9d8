"""The folder of one installation (`--data`): where everything is, who may run on it, and what runs now.

    lock           held by the supervisor while it runs; the lock dies with it, whatever kills it
    run.json       what runs: {"supervisor", "url", "nats", "processes"}; gone after an orderly stop
    nats.token     what connects to the log server must show
    nats/          the log
    chat/          the read model
    issuer/        keys and people of the development issuer
    cli/           who is logged in (`petit login`)
    logs/          what the processes say

Folders are 0700 and files 0600.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from petit.cli.trouble import Trouble, file_trouble

PRIVATE_UMASK: Final = 0o077
_FOLDER: Final = 0o700
_FILE: Final = 0o600


@dataclass(frozen=True, slots=True)
class DataDir:
    """The paths in one `--data` folder."""

    root: Path

    @property
    def run(self) -> Path:
        """What runs now."""
        return self.root / "run.json"

    @property
    def lock(self) -> Path:
        """The file whose lock the supervisor holds."""
        return self.root / "lock"

    @property
    def nats(self) -> Path:
        """The log."""
        return self.root / "nats"

    @property
    def nats_token(self) -> Path:
        """What connects to the log server must show."""
        return self.root / "nats.token"

    @property
    def read_model(self) -> Path:
        """What chat folded from the log: one SQLite file, and those that SQLite keeps beside it."""
        return self.root / "chat" / "chat.db"

    @property
    def logins(self) -> Path:
        """Who is logged in."""
        return self.root / "cli"

    @property
    def logs(self) -> Path:
        """What the processes say."""
        return self.root / "logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What `run.json` says."""

    supervisor: int
    """Process id."""
    url: str
    """The origin that serves everything."""
    nats: str
    """Where the log server listens."""
    processes: dict[str, int]
    """Process ids by name."""


def make(root: Path) -> DataDir:
    """Make the folder, private to its owner, if it is not there.

    Raises:
        Trouble: it cannot be made or written.
    """
    with file_trouble(root):
        root.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        root.chmod(_FOLDER)
    return DataDir(root.absolute())


@contextmanager
def locked(data: DataDir) -> Iterator[None]:
    """Be the only one who runs on this data, or changes it while nothing runs.

    Raises:
        Trouble: somebody else does.
    """
    with file_trouble(data.lock):
        lock = os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = read_running(data)
            who = f", as process {running.supervisor} at {running.url}" if running else ""
            raise Trouble(
                f"Petit Chat is running on {data.root} already{who}: use that one, stop it, or choose another --data"
            ) from None
        yield
    finally:
        os.close(lock)


def is_locked(data: DataDir) -> bool:
    """Say whether somebody runs on this data."""
    try:
        lock = os.open(data.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def read_running(data: DataDir) -> Running | None:
    """Return what runs on this data, as far as is known; None if nothing does. After a crash it may be out of date."""
    try:
        fields = json.loads(data.run.read_text())
        return Running(
            supervisor=int(fields["supervisor"]),
            url=str(fields["url"]),
            nats=str(fields["nats"]),
            processes={str(name): int(pid) for name, pid in fields["processes"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_running(data: DataDir, running: Running) -> None:
    """Say what runs on this data.

    Raises:
        Trouble: the file cannot be written.
    """
    fields = {
        "supervisor": running.supervisor,
        "url": running.url,
        "nats": running.nats,
        "processes": running.processes,
    }
    write_private(data.run, json.dumps(fields, indent=2) + "\n")


def nats_token(data: DataDir) -> str:
    """Return what connects to the log server must show, made at first use, and anew where it is damaged.

    Raises:
        Trouble: the file cannot be read or written.
    """
    with file_trouble(data.nats_token):
        try:
            token = data.nats_token.read_text("ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            token = ""
    if not token:
        token = secrets.token_urlsafe(24)
        write_private(data.nats_token, token + "\n")
    return token


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, at once or not at all.

    Raises:
        Trouble: it cannot be written.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with file_trouble(path):
        path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
