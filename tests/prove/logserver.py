"""The log server as an operator's tools see it: bounded, emptied, deleted behind everybody's back, and out of room."""

import json
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import nats
from nats.aio.client import Client as Nats

from tests.e2e.local import LocalStack

STREAM: Final = "SIGNALS"
_WITHIN_S: Final = 10.0
_CHUNK: Final = bytes(65_536)


@asynccontextmanager
async def connected(stack: LocalStack) -> AsyncIterator[Nats]:
    """Connect to the log server that runs now."""
    url = json.loads((stack.data / "run.json").read_text())["nats"]
    nc = await nats.connect(url, token=(stack.data / "nats.token").read_text().strip(), connect_timeout=10)
    try:
        yield nc
    finally:
        await nc.close()


async def ask(nc: Nats, method: str, request: object = None) -> dict[str, Any]:
    """Ask JetStream's own API.

    Raises:
        AssertionError: it says no.
    """
    payload = b"" if request is None else json.dumps(request).encode()
    answer: dict[str, Any] = json.loads((await nc.request(f"$JS.API.{method}", payload, timeout=_WITHIN_S)).data)
    assert "error" not in answer, answer
    return answer


async def bound(stack: LocalStack, *, spare_bytes: int | None) -> None:
    """Leave the log so much room, as its setting `max_bytes` does; None: as much as the disk has."""
    async with connected(stack) as nc:
        stream = await ask(nc, f"STREAM.INFO.{STREAM}")
        most = -1 if spare_bytes is None else stream["state"]["bytes"] + spare_bytes
        await ask(nc, f"STREAM.UPDATE.{STREAM}", {**stream["config"], "max_bytes": most})


async def delete(stack: LocalStack, stream: str = STREAM) -> None:
    """Delete the log."""
    async with connected(stack) as nc:
        await ask(nc, f"STREAM.DELETE.{stream}")


async def streams(stack: LocalStack) -> set[str]:
    """Return the names of the streams that there are."""
    async with connected(stack) as nc:
        return set((await ask(nc, "STREAM.NAMES"))["streams"] or ())


def refuse_writes(stack: LocalStack) -> None:
    """Let every write of the log server fail until it is started again: files may not grow. Needs no privilege."""
    resource.prlimit(stack.pids()["nats-server"], resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))


@contextmanager
def small_disk(path: Path, *, mib: int) -> Iterator[Path]:
    """Mount a disk of so many MiB, in memory. Only root may."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that a disk has; return the file that does."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(_CHUNK)
        except OSError:
            assert shutil.disk_usage(disk).free < len(_CHUNK)
    return ballast
