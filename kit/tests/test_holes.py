"""A log whose files are damaged is never read as if it were whole."""

import os
from pathlib import Path

import pytest

from kit.tests.reading import Reader
from petit.kit.connection import connect
from petit.kit.errors import LogDamaged, LogFault
from petit.kit.feed import Feed
from petit.kit.log import Log
from petit.kit.natsserver import NatsServer

SUBJECT = "signal.7.chat.0190.msg"
ENTRIES = 300


def _block(store: Path) -> Path:
    [block] = [file for file in store.rglob("*.blk") if "SIGNALS" in file.parts and file.stat().st_size]
    return block


async def _written(server: NatsServer, store: Path) -> Path:
    """Write some entries, stop the server, and return the file that holds them."""
    async with await connect(server.access, name="test") as nc:
        log = Log(nc)
        await log.bootstrap()
        for number in range(ENTRIES):
            await log.append(SUBJECT, os.urandom(600), msg_id=str(number))
    await server.stop()
    return _block(store)


async def _read_all(server: NatsServer) -> None:
    await server.start()
    async with await connect(server.access, name="test") as nc:
        log, reader = Log(nc), Reader()
        await log.bootstrap()
        feed = Feed(nc, deliver=reader, after=0)
        await feed.run()


@pytest.mark.parametrize("harm", ["flipped", "cut", "overwritten", "gone"])
async def test_damage_to_a_block_is_noticed(server: NatsServer, tmp_path: Path, harm: str) -> None:
    block = await _written(server, tmp_path)
    data = block.read_bytes()
    middle = len(data) // 2
    match harm:
        case "flipped":
            block.write_bytes(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
        case "cut":
            block.write_bytes(data[:middle])
        case "overwritten":
            block.write_bytes(os.urandom(len(data)))
        case _:
            block.unlink()

    with pytest.raises(LogDamaged, match="petit restore"):
        await _read_all(server)


async def test_a_log_without_its_index_is_whole_or_behind_but_never_has_holes(
    server: NatsServer, tmp_path: Path
) -> None:
    block = await _written(server, tmp_path)
    block.with_name("index.db").unlink()
    block.write_bytes(block.read_bytes()[: block.stat().st_size // 2])
    await server.start()

    async with await connect(server.access, name="test") as nc:
        with pytest.raises(LogFault, match="offset"):
            await Log(nc).bootstrap(known_epoch=1, known_offset=ENTRIES)
