"""The store: a session that is found again when it is lost, and never waited for by whoever asks."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NoReturn

from petit.chat.adapters.cql import digest, history, members, mending, migrating, queries, writes
from petit.chat.adapters.cql import statements as cql
from petit.chat.adapters.cql.driver import Database, connected
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
from petit.chat.ports import CqlServer, LastMessage, Listing
from petit.contracts.ids import ChatId, Epoch, Offset, Seq, SignalId, UserId


@asynccontextmanager
async def opened(server: CqlServer, *, everywhere: bool = False) -> "AsyncIterator[CqlStore]":
    """Open the read model, and close it in the end.

    While it is open the driver finds nodes again by itself: until then every call raises `StoreDown`.

    Args:
        server: The keyspace.
        everywhere: Read and write every copy of each row instead of most: for an operator, while all nodes run.

    Raises:
        StoreDown: the cluster cannot be reached, or its schema is older than this program's: try again.
        StoreBroken: the schema is newer, or we may not use it.
    """
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(connected(server, keyspace=None, everywhere=everywhere))
        await migrating.check(database, server)
        await database.use(server.keyspace)
        await database.prepare(cql.ALL)
        yield CqlStore(database)


class CqlStore:
    """`Repository` over CQL; see the package."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._epoch = Epoch(0)

    @property
    def losses(self) -> int:
        """See `Repository.losses`.

        A node that is killed forgets what it wrote after its last `commitlog_sync`, though it was acknowledged.
        """
        return self._db.losses

    async def watch(self) -> NoReturn:
        """Wait for ever: nothing that a question finds says that the whole store is damaged."""
        await asyncio.Event().wait()
        raise AssertionError

    async def commit(self, batch: Batch) -> None:
        """See `Repository.commit`."""
        await self._db.write(writes.rows(batch, epoch=self._epoch))
        await self._db.write(writes.chats(batch))
        await self._db.write(writes.checkpoints(batch))

    async def deliver(self, markers: Mapping[tuple[ChatId, UserId], Seq]) -> None:
        """See `Repository.deliver`."""
        await self._db.write(writes.delivered(markers))

    async def set_epoch(self, epoch: Epoch) -> None:
        """See `Repository.set_epoch`."""
        await self._db.write([[(cql.PUT_META, ("epoch", epoch, epoch))]])
        self._epoch = epoch

    async def take_back(self) -> int:
        """Remove what a commit that was cut short has written of signals that no log has any more. See `mending`."""
        return await mending.take_back(self._db)

    async def digest(self) -> str:
        """See `Repository.digest`."""
        return await digest.digest(self._db)

    async def epoch(self) -> Epoch | None:
        """See `Repository.epoch`."""
        found = await queries.epoch(self._db)
        self._epoch = found or self._epoch
        return found

    async def checkpoints(self) -> dict[int, Offset]:
        """See `Repository.checkpoints`."""
        return await queries.checkpoints(self._db)

    async def rules_version(self) -> int:
        """See `Repository.rules_version`."""
        return await queries.rules_version(self._db)

    async def chats(self, chats: Collection[ChatId]) -> dict[ChatId, Chat]:
        """See `Repository.chats`."""
        return await queries.chats(self._db, chats)

    async def unannounced(self, partitions: Collection[int]) -> list[VoidRow]:
        """See `Repository.unannounced`."""
        return await queries.unannounced(self._db, partitions)

    async def heads(self, chats: Collection[ChatId]) -> dict[ChatId, ChatRow]:
        """See `Repository.heads`."""
        return await queries.heads(self._db, chats)

    async def members(self, chat: ChatId, *, after: tuple[Offset, UserId] | None, limit: int) -> list[MemberRow]:
        """See `Repository.members`."""
        return await members.page(self._db, chat, after=after, limit=limit)

    async def activity(self, chats: Collection[ChatId]) -> dict[ChatId, Offset]:
        """See `Repository.activity`."""
        return await queries.activity(self._db, chats)

    async def memberships(self, users: Collection[UserId]) -> dict[UserId, dict[ChatId, Offset]]:
        """See `Repository.memberships`."""
        return await queries.memberships(self._db, users)

    async def membership(self, user: UserId, *, chats: Collection[ChatId]) -> dict[ChatId, MembershipRow]:
        """See `Repository.membership`."""
        return await queries.membership(self._db, user, chats=chats)

    async def messages(self, chat: ChatId, *, first: int, last: int) -> list[SignalRow]:
        """See `Repository.messages`."""
        return await history.messages(self._db, chat, first=first, last=last)

    async def messages_at(self, places: Collection[tuple[ChatId, Seq]]) -> dict[ChatId, SignalRow]:
        """See `Repository.messages_at`."""
        return await history.messages_at(self._db, places)

    async def message(self, chat: ChatId, *, id: SignalId) -> SignalRow | None:
        """See `Repository.message`."""
        return await history.message(self._db, chat, id=id)

    async def last_messages(self, chats: Collection[ChatId], *, at: Offset) -> dict[ChatId, LastMessage]:
        """See `Repository.last_messages`."""
        return await history.last_messages(self._db, chats, at=at)

    async def sent(self, user: UserId, *, id: SignalId) -> SignalRow | None:
        """See `Repository.sent`."""
        return await history.sent(self._db, user, id=id)

    async def signals(self, chat: ChatId, *, after: Offset, to: Offset, limit: int) -> list[SignalRow]:
        """See `Repository.signals`."""
        return await history.signals(self._db, chat, after=after, to=to, limit=limit)

    async def person_signals(self, user: UserId, *, after: Offset, to: Offset, limit: int) -> list[PersonRow]:
        """See `Repository.person_signals`."""
        return await queries.person_signals(self._db, user, after=after, to=to, limit=limit)

    async def markers(self, places: Collection[tuple[ChatId, UserId]]) -> dict[tuple[ChatId, UserId], Seq]:
        """See `Repository.markers`."""
        return await queries.markers(self._db, places)

    async def delivered(self, places: Collection[tuple[ChatId, UserId]]) -> dict[tuple[ChatId, UserId], Seq]:
        """See `Repository.delivered`."""
        return await queries.markers(self._db, places, question=cql.DELIVERED)

    async def rooms(self, prefix: str, *, after: Listing | None, limit: int) -> list[Listing]:
        """See `Repository.rooms`."""
        return await queries.rooms(self._db, prefix, after=after, limit=limit)
