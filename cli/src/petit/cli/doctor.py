"""`petit doctor`: looks at each part, says how it is, and what to do where it is not well."""

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx2

from petit.chat.app import adopt_epoch, digest, highest_checkpoint, known_epoch
from petit.chat.ports import StoreBroken, StoreDown
from petit.cli import datadir, show, voice
from petit.cli.datadir import DataDir, Running
from petit.cli.findings import Finding, report
from petit.cli.logins import REALM, Logins
from petit.cli.offline import log_server, read_through
from petit.cli.trouble import Trouble, file_trouble
from petit.contracts.cursor import Cursor
from petit.contracts.ids import Epoch, Offset
from petit.kit import damage
from petit.kit.access import Access
from petit.kit.connection import Connection, connect
from petit.kit.errors import LogFault, LogLost, Outage
from petit.kit.log import Log
from petit.kit.natsserver import NatsServerError, find_binary
from petit.kit.stream import LogInfo

LITTLE_SPACE: Final = 200 * 1024 * 1024
"""Bytes left on the disk that are a reason to worry."""
_TIMEOUT_S: Final = 5.0
_NEW_EPOCH: Final = "./petit doctor --new-epoch, while nothing runs"


async def doctor(root: Path, *, json: bool) -> None:
    """Examine an installation and print what is found.

    Raises:
        Trouble: something is not well.
    """
    voice.hush()
    await report(examine(DataDir(root)), json=json)


async def new_epoch(root: Path) -> None:
    """Begin the log anew where it is lost, behind or damaged; what there is of the old one is set aside.

    Nothing that was folded is lost; clients start over by themselves. The new log is made beside the old one and takes
    its place at the end: whatever fails before leaves everything as it was.

    Raises:
        Trouble: something runs on the data, or the log is well.
    """
    data = datadir.make(root)
    with datadir.locked(data):
        known, token = _known(data), datadir.nats_token(data)
        async with log_server(data.nats, token=token) as nc:
            why = await _illness(nc, data, known=known)
            if why is None:
                raise Trouble(
                    "the log is well: a new epoch would throw away what is not folded yet, so nothing was done"
                )
            epoch, last = await Log(nc).known()
            left_out = await _left_out(Log(nc), known=known)
        new = data.root / "epoch.partial"
        with file_trouble(new):
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(mode=0o700)
        try:
            async with log_server(new, token=token) as nc:
                info = await Log(nc).new_epoch(at_least=max(known.offset, last), known_epoch=max(known.epoch, epoch))
            # Not in the same folder: nats-server would stumble over what is damaged there at each start.
            aside = _replace(data.nats / "jetstream", by=new / "jetstream")
        finally:
            shutil.rmtree(new, ignore_errors=True)
        damage.forget(data.nats)
        if data.read_model.exists():
            await asyncio.to_thread(adopt_epoch, data.read_model, epoch=Epoch(info.epoch))
    show.line(f"{why}\n{left_out} What there is of the old log was set aside in {aside}.")
    show.line(f"The log begins anew: epoch {info.epoch}, from offset {info.first}. Now ./petit up")


def print_digest(root: Path, *, json: bool) -> None:
    """Print what two read models of the same log share, while it is in use or not.

    Raises:
        Trouble: there is none, or it is damaged.
    """
    path = DataDir(root).read_model
    if not path.exists():
        raise Trouble(f"there is no read model in {root}: ./petit up makes it")
    try:
        found = digest(path)
    except (StoreBroken, StoreDown) as error:
        raise Trouble(str(error)) from error
    if json:
        show.record({"digest": found})
    else:
        show.line(found)


async def _left_out(log: Log, *, known: Cursor) -> str:
    """Say what of the old log no read model has."""
    try:
        info = await log.info()
    except LogLost:
        return f"What it held beyond offset {known.offset}, if anything, is lost."
    if known.epoch not in {0, info.epoch}:
        return f"It is of epoch {info.epoch}, and the read model of epoch {known.epoch}."
    count = _unfolded(info, folded=known.offset)
    if not count:
        return "All of it was folded."
    return f"{count} signals, up to offset {info.last}, were not folded: chats go on without them."


def _replace(folder: Path, *, by: Path) -> Path:
    """Give a folder another name, put another folder in its place, and return the other name."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    with file_trouble(folder):
        folder.rename(aside)
        by.rename(folder)
    return aside


async def examine(data: DataDir) -> AsyncIterator[Finding]:
    """Look at each part in turn. What runs is only asked; what does not run is started where that is needed."""
    yield _programs()
    yield _folder(data)
    yield await asyncio.to_thread(_read_model, data)
    running = datadir.read_running(data) if datadir.is_locked(data) else None
    if running is not None:
        yield _processes(running)
        yield await _readiness(running)
        yield await _issuer(running)
        yield await _log_that_runs(data, running)
    else:
        yield Finding("processes", well=True, says="nothing runs: ./petit up starts everything")
        yield await _log_that_rests(data)
    names = Logins.of(data).names()
    yield Finding("log-ins", well=True, says=", ".join(names) or "nobody: ./petit login ada")


def _programs() -> Finding:
    try:
        return Finding("programs", well=True, says=find_binary())
    except NatsServerError as error:
        return Finding("programs", well=False, says=f"{error}; ./petit makes its .venv anew if you remove it")


def _folder(data: DataDir) -> Finding:
    try:
        status = data.root.stat()
    except OSError as error:
        return Finding("folder", well=False, says=f"{data.root}: {error.strerror}; ./petit up makes it")
    if status.st_uid != os.getuid() or not os.access(data.root, os.W_OK):
        return Finding("folder", well=False, says=f"{data.root} is not yours to write: choose another with --data")
    if stat.S_IMODE(status.st_mode) & 0o077:
        return Finding("folder", well=False, says=f"others may read {data.root}: chmod 700 {data.root}")
    free = shutil.disk_usage(data.root).free
    if free < LITTLE_SPACE:
        return Finding("folder", well=False, says=f"{_size(free)} left on the disk of {data.root}: make room")
    return Finding("folder", well=True, says=f"{data.root}, {_size(free)} free")


def _read_model(data: DataDir) -> Finding:
    path = data.read_model
    if not path.exists():
        return Finding("read model", well=True, says="not made yet")
    remedy = f"stop everything, move {path.parent} away, and ./petit up folds it anew from the log; or ./petit restore"
    try:
        folded = highest_checkpoint(path)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_TIMEOUT_S)) as db:
            [verdict] = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            return Finding("read model", well=False, says=f"{path} is damaged ({verdict}): {remedy}")
        return Finding("read model", well=True, says=f"folded to offset {folded}")
    except (StoreBroken, StoreDown) as error:
        return Finding("read model", well=False, says=str(error))
    except sqlite3.Error as error:
        return Finding("read model", well=False, says=f"{path} is damaged ({error}): {remedy}")


def _processes(running: Running) -> Finding:
    gone = [name for name, pid in running.processes.items() if not _is_alive(pid)]
    if gone:
        return Finding("processes", well=False, says=f"{', '.join(gone)} down; the supervisor restarts what dies")
    return Finding("processes", well=True, says=f"supervisor {running.supervisor}, {', '.join(running.processes)}")


async def _readiness(running: Running) -> Finding:
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as http:
            answer = await http.get(f"{running.url}/readyz")
    except httpx2.TransportError as error:
        return Finding("edge", well=False, says=f"{running.url} does not answer ({error!r}): look into the logs folder")
    if not answer.is_success:
        return Finding("edge", well=False, says=f"{running.url} is not ready: {answer.text[:300]}")
    return Finding("edge", well=True, says=f"{running.url} is ready")


async def _issuer(running: Running) -> Finding:
    url = f"{running.url}{REALM}/.well-known/openid-configuration"
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as http:
            issuer = (await http.get(url)).raise_for_status().json()["issuer"]
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        return Finding("issuer", well=False, says=f"{url}: {error!r}")
    return Finding("issuer", well=True, says=str(issuer))


async def _log_that_runs(data: DataDir, running: Running) -> Finding:
    try:
        access = Access(url=running.nats, token=datadir.nats_token(data))
        async with await connect(access, name="petit-doctor") as nc:
            log = Log(nc)
            return _log_finding(await log.info(), folded=_known_if_well(data).offset, skew_s=await log.clock_skew())
    except (Outage, LogFault, Trouble) as error:
        return Finding("log", well=False, says=str(error))


async def _log_that_rests(data: DataDir) -> Finding:
    known = _known_if_well(data)
    if not data.nats.exists():
        if known.offset:
            return Finding("log", well=False, says=f"gone, but folded to {known.offset} before: {_NEW_EPOCH}")
        return Finding("log", well=True, says="not made yet")
    try:
        with datadir.locked(data):
            async with log_server(data.nats, token=datadir.nats_token(data)) as nc:
                illness = await _illness(nc, data, known=known)
                if illness is not None:
                    return Finding("log", well=False, says=illness)
                found = _log_finding(await Log(nc).info(), folded=known.offset, skew_s=0.0)
                return replace(found, says=f"{found.says}{_said_of_damage(data)}")
    except (Outage, LogFault, Trouble) as error:
        return Finding("log", well=False, says=str(error))


def _log_finding(info: LogInfo, *, folded: int, skew_s: float) -> Finding:
    if info.last < folded:
        return Finding("log", well=False, says=f"ends at {info.last}, behind the read model at {folded}: {_NEW_EPOCH}")
    unfolded = _unfolded(info, folded=folded)
    behind = f", {unfolded} not folded yet" if unfolded else ""
    clock = "" if abs(skew_s) < 1 else f", our clock is {skew_s:.0f} s ahead of its"
    return Finding(
        "log",
        well=True,
        says=f"epoch {info.epoch}, {info.messages} signals up to offset {info.last}, {_size(info.size)}{behind}{clock}",
    )


def _unfolded(info: LogInfo, *, folded: int) -> int:
    return max(0, info.last - max(folded, info.first - 1))


async def _illness(nc: Connection, data: DataDir, *, known: Cursor) -> str | None:
    """Return what is wrong with a log that rests; None if nothing is, and every entry can be read.

    Raises:
        Trouble: it holds another log's signals, which no new epoch may throw away.
        Outage: the log server does not answer.
    """
    try:
        info = await Log(nc).bootstrap(known_epoch=known.epoch, known_offset=known.offset)
        if known.epoch in {0, info.epoch}:
            await read_through(nc, info)
            return None
    except LogFault as fault:
        return f"{fault}{_said_of_damage(data)}"
    what = f"the log is of epoch {info.epoch}, and the read model was folded from epoch {known.epoch}"
    if info.messages:
        raise Trouble(
            f"{what}: they are not of one installation. Restore a backup (./petit restore) into another --data"
        )
    return what  # a new epoch that was begun, and not finished


def _said_of_damage(data: DataDir) -> str:
    said = damage.recall(data.nats)
    return f"; nats-server said: {said[-1]}" if said else ""


def _known(data: DataDir) -> Cursor:
    """Return up to where the read model has folded the log, and which making of it."""
    if not data.read_model.exists():
        return Cursor(Epoch(0), Offset(0))
    try:
        return Cursor(known_epoch(data.read_model), highest_checkpoint(data.read_model))
    except (StoreBroken, StoreDown) as error:
        raise Trouble(str(error)) from error


def _known_if_well(data: DataDir) -> Cursor:
    try:
        return _known(data)
    except Trouble:  # the finding about the read model says so
        return Cursor(Epoch(0), Offset(0))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - SI
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
