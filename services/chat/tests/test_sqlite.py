"""What only the SQLite store promises: clear errors about the file, copies of it, and processes that share it."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from petit.chat.adapters.sqlite import opened
from petit.chat.adapters.sqlite.files import backup, digest
from petit.chat.domain.rows import Batch
from petit.chat.ports import StoreBroken, StoreDown
from petit.contracts.ids import Offset
from services.chat.tests.histories import CHATS, PEOPLE, cut, fold, signal
from services.chat.tests.test_repository import created, said

GROUP, ADA = CHATS[1], PEOPLE[0]


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    path.write_bytes(b"something else" * 500)

    with pytest.raises(StoreBroken, match=r"chat\.db is damaged.*move chat\.db, chat\.db-wal"):
        async with opened(path):
            pass


async def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipes (name TEXT)")

    with pytest.raises(StoreBroken, match="not a read model of this version"):
        async with opened(path):
            pass
    with closing(sqlite3.connect(path)) as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_schema")] == ["recipes"]


async def test_another_version_of_the_tables_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with opened(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")

    with pytest.raises(StoreBroken, match=r"it says 99, we need \d+\): move chat\.db"):
        async with opened(path):
            pass


async def test_a_file_of_the_first_version_is_brought_up_to_this_one(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    log = [created(GROUP, "group", ADA), said(GROUP, "bob", id="void"), said(GROUP, ADA, id="1")]  # type: ignore[arg-type]  # plain text
    async with opened(path) as store:
        await fold(store, cut(log, [2]))
        before = await store.digest()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("ALTER TABLE chat_state DROP COLUMN signals")
        db.execute("UPDATE meta SET value = 1 WHERE name = 'schema'")

    async with opened(path) as store:
        assert (await store.heads([GROUP]))[GROUP].signals == 3
        assert await store.digest() == before


async def test_a_page_that_is_damaged_later_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with opened(path) as store:
        log = [created(GROUP, "group", ADA), *(said(GROUP, ADA, id=f"{n}", text="x" * 2_000) for n in range(50))]
        await fold(store, cut(log, [60]))
    content = bytearray(path.read_bytes())
    content[8 * 4096 :] = b"\xa5" * (len(content) - 8 * 4096)
    path.write_bytes(content)

    async with opened(path) as store:
        with pytest.raises(StoreBroken, match=r"chat\.db is damaged"):
            await store.messages(GROUP, first=1, last=50)


async def test_whoever_watches_hears_of_damage_that_a_question_found(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with opened(path) as store:
        await fold(store, cut([created(GROUP, "group", ADA), said(GROUP, ADA, id="1", text="x")], [2]))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE signals SET payload = CAST(x'ff' AS TEXT)")

    async with opened(path) as store:
        watching = asyncio.create_task(store.watch())
        with pytest.raises(StoreBroken):
            await store.messages(GROUP, first=1, last=1)
        with pytest.raises(StoreBroken):
            await watching


async def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "chat.db").mkdir()

    with pytest.raises(StoreBroken, match=r"chat\.db is not a file: move chat\.db"):
        async with opened(tmp_path / "chat.db"):
            pass


async def test_a_folder_that_is_not_there_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(StoreDown, match="unable to open"):
        async with opened(tmp_path / "nowhere" / "chat.db"):
            pass


async def test_a_full_disk_is_an_outage_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with opened(path) as store:
        await fold(store, cut([created(GROUP, "group", ADA)], [1]))
        before = await store.digest()
        await store._write(lambda db: db.execute("PRAGMA max_page_count = 40"))  # noqa: SLF001 - no disk to fill

        big = [created(GROUP, "group", ADA), *(said(GROUP, ADA, id=f"{n}", text="x" * 8_000) for n in range(50))]
        with pytest.raises(StoreDown, match="full"):
            await fold(store, cut(big, [100]))
        assert await store.digest() == before

        await store._write(lambda db: db.execute("PRAGMA max_page_count = 100000"))  # noqa: SLF001 - room again
        await fold(store, cut(big, [100]), forget=True)
        assert (await store.heads([GROUP]))[GROUP].head_seq == 50


async def test_a_copy_of_a_store_in_use_is_whole(tmp_path: Path) -> None:
    path, copy = tmp_path / "chat.db", tmp_path / "copy.db"
    log = [created(GROUP, "group", ADA), *(said(GROUP, ADA, id=f"{n}") for n in range(300))]
    async with opened(path) as store:
        await fold(store, cut(log[:100], [10]))
        await asyncio.gather(fold(store, cut(log, [5])), asyncio.to_thread(backup, path, to=copy))

    async with opened(copy) as restored:
        head = (await restored.heads([GROUP]))[GROUP].head_seq
        assert head >= 99
        assert len(await restored.messages(GROUP, first=1, last=999)) == head
        await fold(restored, cut(log, [50]), forget=True)
    assert digest(copy) == digest(path)


async def test_processes_that_share_a_file_wait_for_one_another(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with AsyncExitStack() as stack:
        stores = await asyncio.gather(*(stack.enter_async_context(opened(path, readers=1)) for _ in range(4)))

        async def write(number: int) -> None:
            for offset in range(1, 60):
                batch = Batch(checkpoints={number: Offset(offset)})
                await stores[number].commit(batch)

        await asyncio.gather(*(write(number) for number in range(4)))

        assert await stores[0].checkpoints() == dict.fromkeys(range(4), 59)


async def test_a_signal_of_many_bytes_is_kept(tmp_path: Path) -> None:
    async with opened(tmp_path / "chat.db") as store:
        people = [f"person-{number:05}" for number in range(1_000)]
        data = {"kind": "group", "title": "many", "members": people}
        await fold(store, cut([signal(GROUP, "chat.created", by=people[0], data=data, id="1")], [1]))

        assert len((await store.chats([GROUP]))[GROUP].state.members) == 1_000
        assert (await store.heads([GROUP]))[GROUP].members_count == 1_000
