"""The store: one thread that writes and some that read, over one file in WAL mode.

Several processes may share the file: a transaction takes the write lock at its beginning, holds it for some
milliseconds, and those who wait, wait there (docs/adr/0007). `synchronous=NORMAL`: a crash of
the process loses nothing; a power cut may lose the last commits, whole, and the log gives them again.
"""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TypeVar

from petit.chat.adapters.sqlite import files, queries, writes
from petit.chat.adapters.sqlite.connections import connect, prepare, remedy, translated
from petit.chat.domain.rows import (
    Batch,
    Chat,
    ChatRow,
    MemberRow,
    MembershipRow,
    PersonRow,
    SignalRow,
    VoidRow,
)
from petit.chat.ports import LastMessage, Listing, StoreBroken
from petit.contracts.ids import ChatId, Epoch, Offset, Seq, SignalId, UserId

T = TypeVar("T")
READERS: Final = 3
"""Threads: a long question does not hold up short ones."""
_WRITER_CACHE_MIB: Final = 64
_READER_CACHE_MIB: Final = 8


@asynccontextmanager
async def opened(path: Path, *, readers: int = READERS) -> "AsyncIterator[SqliteStore]":
    """Open the read model, made if it is not there, and close it in the end.

    Raises:
        StoreBroken: the file is damaged or not ours.
        StoreDown: it cannot be opened or written.
    """
    store = SqliteStore(path, readers=readers)
    try:
        await store.open()
        yield store
    finally:
        await asyncio.to_thread(store.close)


class SqliteStore:
    """`Repository` over SQLite; see the module."""

    def __init__(self, path: Path, *, readers: int = READERS) -> None:
        self._path = path
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="sqlite-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._damage: StoreBroken | None = None
        self._damaged = asyncio.Event()

    @property
    def losses(self) -> int:
        """See `Repository.losses`: a file has no server."""
        return 0

    async def open(self) -> None:
        """Make the file ready.

        Raises:
            StoreBroken: the file is damaged or not ours.
            StoreDown: it cannot be opened or written.
        """
        if self._path.exists() and not self._path.is_file():
            raise StoreBroken(f"{self._path} is not a file: {remedy(self._path)}")
        await self._write(lambda db: prepare(db, self._path))

    async def watch(self) -> NoReturn:
        """Wait for the file to be found damaged: whoever asked then gets no answer, and nobody else should ask.

        Raises:
            StoreBroken: it is.
        """
        await self._damaged.wait()
        raise self._damage or StoreBroken(f"{self._path} is damaged: {remedy(self._path)}")

    def close(self) -> None:
        """Let what was begun come to its end, and close the file. Blocking."""
        self._writer.shutdown()
        self._readers.shutdown(cancel_futures=True)
        for db in self._connections:
            db.close()

    async def commit(self, batch: Batch) -> None:
        """See `Repository.commit`."""
        await self._write(lambda db: writes.commit(db, batch))

    async def deliver(self, markers: Mapping[tuple[ChatId, UserId], Seq]) -> None:
        """See `Repository.deliver`."""
        await self._write(lambda db: writes.deliver(db, markers))

    async def set_epoch(self, epoch: Epoch) -> None:
        """See `Repository.set_epoch`."""
        await self._write(lambda db: files.set_epoch(db, epoch))

    async def digest(self) -> str:
        """See `Repository.digest`."""
        return await asyncio.to_thread(files.digest, self._path)

    async def epoch(self) -> Epoch | None:
        """See `Repository.epoch`."""
        return await self._read(queries.epoch)

    async def checkpoints(self) -> dict[int, Offset]:
        """See `Repository.checkpoints`."""
        return await self._read(queries.checkpoints)

    async def rules_version(self) -> int:
        """See `Repository.rules_version`."""
        return await self._read(queries.rules_version)

    async def chats(self, chats: Collection[ChatId]) -> dict[ChatId, Chat]:
        """See `Repository.chats`."""
        return await self._read(partial(queries.chats, ids=chats))

    async def unannounced(self, partitions: Collection[int]) -> list[VoidRow]:
        """See `Repository.unannounced`."""
        return await self._read(partial(queries.unannounced, partitions=partitions))

    async def heads(self, chats: Collection[ChatId]) -> dict[ChatId, ChatRow]:
        """See `Repository.heads`."""
        return await self._read(partial(queries.heads, ids=chats))

    async def members(self, chat: ChatId, *, after: tuple[Offset, UserId] | None, limit: int) -> list[MemberRow]:
        """See `Repository.members`."""
        return await self._read(partial(queries.members, chat=chat, after=after, limit=limit))

    async def activity(self, chats: Collection[ChatId]) -> dict[ChatId, Offset]:
        """See `Repository.activity`."""
        return await self._read(partial(queries.activity, ids=chats))

    async def memberships(self, users: Collection[UserId]) -> dict[UserId, dict[ChatId, Offset]]:
        """See `Repository.memberships`."""
        return await self._read(partial(queries.memberships, users=users))

    async def membership(self, user: UserId, *, chats: Collection[ChatId]) -> dict[ChatId, MembershipRow]:
        """See `Repository.membership`."""
        return await self._read(partial(queries.membership, user=user, chats=chats))

    async def messages(self, chat: ChatId, *, first: int, last: int) -> list[SignalRow]:
        """See `Repository.messages`."""
        return await self._read(partial(queries.messages, chat=chat, first=first, last=last))

    async def messages_at(self, places: Collection[tuple[ChatId, Seq]]) -> dict[ChatId, SignalRow]:
        """See `Repository.messages_at`."""
        return await self._read(partial(queries.messages_at, places=places))

    async def message(self, chat: ChatId, *, id: SignalId) -> SignalRow | None:
        """See `Repository.message`."""
        return await self._read(partial(queries.message, chat=chat, id=id))

    async def last_messages(self, chats: Collection[ChatId], *, at: Offset) -> dict[ChatId, LastMessage]:
        """See `Repository.last_messages`."""
        return await self._read(partial(queries.last_messages, ids=chats, at=at))

    async def sent(self, user: UserId, *, id: SignalId) -> SignalRow | None:
        """See `Repository.sent`."""
        return await self._read(partial(queries.sent, user=user, id=id))

    async def signals(self, chat: ChatId, *, after: Offset, to: Offset, limit: int) -> list[SignalRow]:
        """See `Repository.signals`."""
        return await self._read(partial(queries.signals, chat=chat, after=after, to=to, limit=limit))

    async def person_signals(self, user: UserId, *, after: Offset, to: Offset, limit: int) -> list[PersonRow]:
        """See `Repository.person_signals`."""
        return await self._read(partial(queries.person_signals, user=user, after=after, to=to, limit=limit))

    async def markers(self, places: Collection[tuple[ChatId, UserId]]) -> dict[tuple[ChatId, UserId], Seq]:
        """See `Repository.markers`."""
        return await self._read(partial(queries.markers, places=places))

    async def delivered(self, places: Collection[tuple[ChatId, UserId]]) -> dict[tuple[ChatId, UserId], Seq]:
        """See `Repository.delivered`."""
        return await self._read(partial(queries.markers, places=places, table="delivered"))

    async def rooms(self, prefix: str, *, after: Listing | None, limit: int) -> list[Listing]:
        """See `Repository.rooms`."""
        return await self._read(partial(queries.rooms, prefix=prefix, after=after, limit=limit))

    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._readers, question, cache_mib=_READER_CACHE_MIB)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._run(self._writer, work, cache_mib=_WRITER_CACHE_MIB)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[sqlite3.Connection], T], *, cache_mib: int) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, self._do, work, cache_mib)
        except StoreBroken as error:
            self._damage = error
            self._damaged.set()
            raise

    def _do(self, work: Callable[[sqlite3.Connection], T], cache_mib: int) -> T:
        """Work with the connection of the thread that this runs in."""
        with translated(self._path):
            db: sqlite3.Connection | None = getattr(self._local, "db", None)
            if db is None:
                db = connect(self._path, cache_mib=cache_mib, read_only=cache_mib == _READER_CACHE_MIB)
                self._local.db = db
                self._connections.append(db)
            return work(db)
