"""What can happen to the files of an installation that rests, and what `petit up` has to make of it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.local import LocalStack

_FLIPPED: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """`petit up` ends and says what to do."""

    says: str
    """A part of the one paragraph that it says."""
    cure: Callable[[LocalStack], object] | None = None
    """Does what it says; then everything is there again."""
    late: bool = False
    """Whether it shows only when it is read, maybe after all is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """`petit up` starts, and nothing is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """One kind of damage."""

    do: Callable[[Path], object]
    """Takes the data folder."""
    outcome: Refused | Healed
    quick: bool = False
    """Whether the short run has it, too."""


def _garbage(file: Path, size: int | None = None) -> None:
    file.write_bytes(os.urandom(size or file.stat().st_size))


def _half(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + _FLIPPED] = bytes(byte ^ 0xFF for byte in data[middle : middle + _FLIPPED])
    file.write_bytes(data)


def _folder(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.mkdir()


def _file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def stream_of(data: Path, name: str = "SIGNALS") -> Path:
    """Return the folder in which nats-server keeps a stream."""
    [streams] = (data / "nats" / "jetstream").rglob("streams")
    return streams / name


def _block(data: Path) -> Path:
    [block] = [file for file in (stream_of(data) / "msgs").glob("*.blk") if file.stat().st_size]
    return block


def _new_epoch(stack: LocalStack) -> None:
    doctor = stack.petit("doctor", "--new-epoch")
    assert doctor.returncode == 0, doctor.stderr


def _move_read_model(stack: LocalStack) -> None:
    (stack.data / "chat").rename(stack.data / "chat.away")


def _without_read_model(harm: Callable[[Path], object]) -> Callable[[Path], None]:
    def do(data: Path) -> None:
        harm(data)
        shutil.rmtree(data / "chat")

    return do


_REBUILT: Final = Refused(says="it is rebuilt from the log", cure=_move_read_model)
_LOST: Final = Refused(says="doctor --new-epoch", cure=_new_epoch)
_NO_WAY_BACK: Final = Refused(says="petit restore", late=True)
_HEALED: Final = Healed()

HARMS: Final = {
    "a read model of garbage": Harm(do=lambda data: _garbage(data / "chat/chat.db"), outcome=_REBUILT, quick=True),
    "half a read model": Harm(do=lambda data: _half(data / "chat/chat.db"), outcome=_REBUILT, quick=True),
    "an empty read model": Harm(do=lambda data: (data / "chat/chat.db").write_bytes(b""), outcome=_HEALED, quick=True),
    "no read model": Harm(do=lambda data: shutil.rmtree(data / "chat"), outcome=_HEALED),
    "a folder as read model": Harm(do=lambda data: _folder(data / "chat/chat.db"), outcome=_REBUILT),
    "a file as folder of the read model": Harm(
        do=lambda data: _file(data / "chat"), outcome=Refused(says="is not a folder", cure=_move_read_model)
    ),
    "people of garbage": Harm(
        do=lambda data: _garbage(data / "issuer/issuer.db"),
        outcome=Refused(says="move it away", cure=lambda stack: (stack.data / "issuer/issuer.db").unlink()),
        quick=True,
    ),
    "half of the people": Harm(
        do=lambda data: _half(data / "issuer/issuer.db"),
        outcome=Refused(says="move it away", cure=lambda stack: (stack.data / "issuer/issuer.db").unlink()),
    ),
    "no issuer": Harm(do=lambda data: shutil.rmtree(data / "issuer"), outcome=_HEALED, quick=True),
    "a secret of garbage": Harm(do=lambda data: _garbage(data / "issuer/gateway.secret"), outcome=_HEALED, quick=True),
    "an empty secret": Harm(do=lambda data: (data / "issuer/gateway.secret").write_text(""), outcome=_HEALED),
    "a token of garbage": Harm(do=lambda data: _garbage(data / "nats.token"), outcome=_HEALED, quick=True),
    "an empty token": Harm(do=lambda data: (data / "nats.token").write_text(""), outcome=_HEALED),
    "a folder as token": Harm(
        do=lambda data: _folder(data / "nats.token"),
        outcome=Refused(says="move it away", cure=lambda stack: (stack.data / "nats.token").rmdir()),
    ),
    "a run.json of garbage": Harm(do=lambda data: (data / "run.json").write_bytes(os.urandom(100)), outcome=_HEALED),
    "a run.json of another program": Harm(
        do=lambda data: (data / "run.json").write_text('{"supervisor": 1, "url": 7, "nats": [], "processes": "none"}'),
        outcome=_HEALED,
        quick=True,
    ),
    "a configuration of garbage": Harm(do=lambda data: _garbage(data / "nats/nats-server.conf"), outcome=_HEALED),
    "a file as logs": Harm(
        do=lambda data: _file(data / "logs"),
        outcome=Refused(says="move it away", cure=lambda stack: (stack.data / "logs").unlink()),
    ),
    "a lock that is a folder": Harm(
        do=lambda data: _folder(data / "lock"),
        outcome=Refused(says="move it away", cure=lambda stack: (stack.data / "lock").rmdir()),
    ),
    "a log without its description": Harm(
        do=lambda data: (stream_of(data) / "meta.inf").unlink(), outcome=_LOST, quick=True
    ),
    "a log with a description of garbage": Harm(do=lambda data: _garbage(stream_of(data) / "meta.inf"), outcome=_LOST),
    "a log without files": Harm(do=lambda data: shutil.rmtree(stream_of(data)), outcome=_LOST),
    "no stream at all": Harm(do=lambda data: shutil.rmtree(stream_of(data).parent), outcome=_LOST),
    "half a block of the log": Harm(do=lambda data: _half(_block(data)), outcome=_LOST, quick=True),
    "a block of garbage": Harm(do=lambda data: _garbage(_block(data)), outcome=_LOST),
    "a block that is gone": Harm(do=lambda data: _block(data).unlink(), outcome=_LOST),
    "an index of garbage": Harm(do=lambda data: _garbage(stream_of(data) / "msgs/index.db"), outcome=_HEALED),
    "a log that forgot its epoch": Harm(
        do=lambda data: shutil.rmtree(stream_of(data, "KV_PETIT")), outcome=_HEALED, quick=True
    ),
    "a damaged entry, read again": Harm(
        do=_without_read_model(lambda data: _flip(_block(data))), outcome=_NO_WAY_BACK, quick=True
    ),
    "half a block, read again": Harm(do=_without_read_model(lambda data: _half(_block(data))), outcome=_NO_WAY_BACK),
}
"""By name."""
