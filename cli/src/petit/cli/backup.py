"""`petit backup` and `petit restore`: the log and the read model in one file, always of the same moment.

A backup is made while nothing runs, so that nothing has to be cut in the middle. It is a gzipped tar whose last
member lists the digests of all others: a file that was cut off or altered is refused before anything is touched.

What is restored goes on as a new epoch. After the backup, the log had gone on to hand out offsets that the
restored one will hand out again for other signals; with the next epoch, whoever remembers the old ones (cursors) is
told so and starts over by itself, instead of missing something silently.
"""

import asyncio
import hashlib
import io
import json
import shutil
import tarfile
import time
from pathlib import Path
from typing import Any, Final

from petit.chat.app import adopt_epoch
from petit.chat.app import backup as copy_read_model
from petit.chat.ports import StoreBroken, StoreDown
from petit.cli import datadir, show
from petit.cli.datadir import DataDir
from petit.cli.offline import log_server
from petit.cli.trouble import Trouble, file_trouble
from petit.contracts.ids import Epoch, timestamp
from petit.contracts.subjects import STREAM
from petit.kit.jetstream import JetStream
from petit.kit.log import Log
from petit.kit.stream import EPOCH_KEY, log_info

FORMAT: Final = 1
_LIST: Final = "petit-backup.json"
_LOG: Final = "nats/jetstream"
_READ_MODEL: Final = "chat/chat.db"
_ISSUER: Final = "issuer"
_SECRET: Final = "nats.token"  # noqa: S105 - the name of a file
_CHUNK: Final = 1024 * 1024


def backup(root: Path, file: Path) -> None:
    """Write the data of an installation that does not run into one file.

    Raises:
        Trouble: it runs, there is nothing to back up, or the file cannot be written.
    """
    data = DataDir(root.absolute())
    if not data.nats.exists():
        raise Trouble(f"there is nothing to back up in {data.root}")
    if file.exists():
        raise Trouble(f"{file} is there already: choose another name")
    partial = file.with_name(file.name + ".partial")
    with datadir.locked(data), file_trouble(file):
        try:
            with partial.open("wb") as raw:
                partial.chmod(0o600)
                with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1) as archive:
                    _write(archive, data)
            partial.replace(file)
        except (StoreBroken, StoreDown) as error:
            raise Trouble(f"the read model cannot be copied: {error}") from error
        finally:
            partial.unlink(missing_ok=True)
    show.line(f"backed up {data.root} to {file} ({file.stat().st_size} bytes); keep it as private as the data")


def restore(root: Path, file: Path) -> None:
    """Make an installation from a backup.

    Raises:
        Trouble: there is data already, or the file is not a whole backup.
    """
    data = datadir.make(root)
    with datadir.locked(data):
        there = [path.name for path in (data.nats, data.read_model.parent, data.root / _ISSUER) if path.exists()]
        if there:
            raise Trouble(f"{data.root} holds {', '.join(there)} already: move it away, or restore into another --data")
        partial = data.root / "restore.partial"
        with file_trouble(data.root):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
        try:
            _unpack(file, partial)
            epoch = asyncio.run(_go_on(DataDir(partial)))
            with file_trouble(data.root):
                for name in ("chat", _ISSUER, _SECRET, "nats"):
                    if (partial / name).exists():
                        (partial / name).rename(data.root / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    show.line(f"restored {file} into {data.root}, as epoch {epoch}. Now ./petit up")


def _write(archive: tarfile.TarFile, data: DataDir) -> None:
    digests: dict[str, str] = {}

    def add(path: Path, name: str) -> None:
        archive.add(path, name, recursive=False, filter=_private)
        digests[name] = _digest(path)

    if data.read_model.exists():
        copy = data.root / "backup.partial"
        copy.unlink(missing_ok=True)
        try:
            copy_read_model(data.read_model, to=copy)
            add(copy, _READ_MODEL)
        finally:
            copy.unlink(missing_ok=True)
    for top in (_LOG, _ISSUER, _SECRET):
        start = data.root / top
        for path in sorted([start, *start.rglob("*")]):
            if path.is_file():
                add(path, str(path.relative_to(data.root)))
    listing = {"format": FORMAT, "made_at": timestamp(time.time_ns() // 1_000_000), "files": digests}
    text = json.dumps(listing, indent=1).encode()
    entry = tarfile.TarInfo(_LIST)
    entry.size, entry.mode = len(text), 0o600
    archive.addfile(entry, io.BytesIO(text))


def _private(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


def _extract(archive: tarfile.TarFile, into: Path) -> None:
    """Write the archive's files below a folder; `extractall(filter=…)` is not in Python 3.11.2, which Debian 12 has.

    Raises:
        ValueError: it holds something that no backup does: a link, a device, a way out of the folder.
    """
    home = into.resolve()
    for entry in archive:
        target = (home / entry.name).resolve()
        source = archive.extractfile(entry) if entry.isreg() and target.is_relative_to(home) else None
        if source is None:
            raise ValueError(f"{entry.name!r} is no file of a backup")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as kept:
            shutil.copyfileobj(source, kept, _CHUNK)


def _unpack(file: Path, into: Path) -> None:
    try:
        with tarfile.open(file, mode="r:gz") as archive:
            _extract(archive, into)
        listing: dict[str, Any] = json.loads((into / _LIST).read_bytes())
        files: dict[str, str] = listing["files"]
    except FileNotFoundError:
        if not file.exists():
            raise Trouble(f"there is no {file}") from None
        raise Trouble(f"{file} is not a whole backup: its end is missing") from None
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        raise Trouble(f"{file} is not a whole backup: {error}") from error
    if listing.get("format") != FORMAT:
        raise Trouble(f"{file} is a backup of format {listing.get('format')}, and this version reads {FORMAT}")
    (into / _LIST).unlink()
    found = {str(path.relative_to(into)): path for path in into.rglob("*") if path.is_file()}
    names = files.keys() | found.keys()
    damaged = [name for name in names if name not in found or files.get(name) != _digest(found[name])]
    if damaged:
        raise Trouble(f"{file} is damaged: {', '.join(sorted(damaged)[:3])}")


async def _go_on(data: DataDir) -> int:
    """Make what was restored the next epoch, and return it."""
    async with log_server(data.nats, token=datadir.nats_token(data)) as nc:
        js = JetStream(nc)
        state = await js.stream(STREAM)
        if state is None:
            raise Trouble("the backup holds no log")
        # Not just the next number: what went on after the backup may have had that one.
        epoch = max(log_info(state).epoch + 1, int(time.time()))
        await js.update_stream({**state.config, "metadata": {**state.metadata, EPOCH_KEY: str(epoch)}})
        await Log(nc).bootstrap(known_epoch=epoch)
    if data.read_model.exists():
        await asyncio.to_thread(adopt_epoch, data.read_model, epoch=Epoch(epoch))
    return epoch


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
