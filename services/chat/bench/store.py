"""What SQLite costs: shapes of tables, and processes that share a file: `python services/chat/bench/store.py [folder]`.

The shapes are what the tables of `adapters/sqlite/schema.py` were chosen from:

* clustered: a table of messages by (chat, seq) and one of raw signals by (chat, offset), both with the text in it;
* by offset: both in order of offset, and found by narrow indexes;
* once: one table of signals in order of offset; what finds messages, other signals and ids are narrow indexes.

Processes write batches of 20 messages every 20 ms (1,000 messages/s each), or as fast as they can.
"""

# ruff: noqa: INP001 - a script, in no package

import multiprocessing
import random
import sqlite3
import sys
import time
import uuid
from collections.abc import Sequence
from itertools import chain
from multiprocessing.queues import Queue
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from petit.chat.adapters.sqlite.connections import connect, prepare
from petit.chat.adapters.sqlite.writes import commit
from petit.chat.domain.fold import fold_chat
from petit.chat.domain.rows import Batch, Chat
from petit.contracts.ids import ChatId, Offset, SignalId, UserId
from petit.contracts.rules import ChatState
from petit.contracts.signals import ChatCreated, ChatCreatedData, Msg, MsgData, encode

MESSAGES: Final = 30_000
SECONDS: Final = 4.0
_TAIL: Final = "ON CONFLICT DO NOTHING"
_SHAPES: Final = {
    "clustered": (
        "CREATE TABLE m (chat, seq, offset, id, by, at, text, PRIMARY KEY (chat, seq)) WITHOUT ROWID;"
        "CREATE TABLE s (chat, offset, payload, seq, PRIMARY KEY (chat, offset)) WITHOUT ROWID;"
        "CREATE TABLE i (id, user, offset, chat, digest, PRIMARY KEY (id, user)) WITHOUT ROWID;"
    ),
    "by offset": (
        "CREATE TABLE m (chat, seq, offset INTEGER PRIMARY KEY, id, by, at, text); CREATE INDEX mc ON m (chat, seq);"
        "CREATE TABLE s (chat, offset INTEGER PRIMARY KEY, payload, seq); CREATE INDEX sc ON s (chat);"
        "CREATE TABLE i (id, user, offset, chat, digest, PRIMARY KEY (id, user)) WITHOUT ROWID;"
    ),
    "once": (
        "CREATE TABLE s (chat, offset INTEGER PRIMARY KEY, payload, seq, id, by);"
        "CREATE INDEX sq ON s (chat, seq) WHERE seq NOT NULL; CREATE INDEX sn ON s (chat) WHERE seq IS NULL;"
        "CREATE INDEX si ON s (id, by) WHERE id NOT NULL;"
    ),
}


class Said(NamedTuple):
    """A message to be stored."""

    chat: str
    seq: int
    offset: int
    id: str
    by: str
    payload: str


def said(chats: int) -> list[Said]:
    """Return messages of 200 bytes to chats of four, in random turn."""
    chance = random.Random(1)  # noqa: S311 - a repeatable load
    rooms = [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(chats)]
    heads = dict.fromkeys(rooms, 0)
    found = []
    for number in range(MESSAGES):
        room = chance.choice(rooms)
        heads[room] += 1
        id = str(uuid.UUID(int=((0x0196_0000_0000 + number) << 80) | chance.getrandbits(76)))
        found.append(Said(room, heads[room], 1_000 + number, id, f"{room[:30]}-{number % 4}", "x" * 380))
    return found


def shape(name: str, messages: Sequence[Said], *, batch: int, folder: Path) -> str:
    """Return what one shape costs, in microseconds of CPU a message."""
    path = folder / f"{name}-{batch}.db"
    db = connect(path, cache_mib=64)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(_SHAPES[name])
    begun = time.process_time()
    for start in range(0, len(messages), batch):
        part = messages[start : start + batch]
        db.execute("BEGIN IMMEDIATE")
        if name == "once":
            _insert(db, "s", [(m.chat, m.offset, m.payload, m.seq, m.id, m.by) for m in part])
        else:
            _insert(db, "m", [(m.chat, m.seq, m.offset, m.id, m.by, "2026", "x" * 200) for m in part])
            _insert(db, "s", [(m.chat, m.offset, m.payload, m.seq) for m in part])
            _insert(db, "i", [(m.id, m.by, m.offset, m.chat, "d" * 32) for m in part])
        db.execute("COMMIT")
    cost = (time.process_time() - begun) / len(messages) * 1e6
    db.close()
    size = path.stat().st_size / len(messages)
    return f"{name}, batches of {batch:4}: {cost:5.1f} us of CPU and {size:,.0f} bytes a message"


def _insert(db: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    for start in range(0, len(rows), 64):
        part = rows[start : start + 64]
        places = ",".join([f"({','.join('?' * len(part[0]))})"] * len(part))
        db.execute(f"INSERT INTO {table} VALUES {places} {_TAIL}", list(chain.from_iterable(part)))  # noqa: S608 - a table of our own


def writer(path: Path, number: int, results: "Queue[list[float]]", *, pause: float) -> None:
    """Write batches to a file for some seconds, and give how long each took, in seconds."""
    db = connect(path, cache_mib=64)
    prepare(db, path)
    members = tuple(UserId(f"person-{number}-{n}") for n in range(50))
    chats = [Chat(state=ChatState(chat=ChatId(str(uuid.uuid4())))) for _ in range(20)]
    took: list[float] = []
    offset = number * 10_000_000
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        batch = Batch()
        for place, chat in enumerate(chats):
            offset += 1
            id, at, key = SignalId(str(uuid.uuid4())), chat.state.created_at, chat.state.chat
            data = ChatCreatedData(kind="group", members=members)
            text = MsgData(text="x" * 200)
            msg = Msg(id=id, by=members[(offset + place) % 50], at=at, chat=key, data=text)
            created = ChatCreated(id=id, by=members[0], at=at, chat=key, data=data)
            fold_chat(chat, encode(msg if chat.state.members else created), offset=Offset(offset), into=batch)
        batch.seal()
        begun = time.monotonic()
        commit(db, batch)
        took.append(time.monotonic() - begun)
        time.sleep(pause)
    db.close()
    results.put(took)


def processes(count: int, *, shared: bool, pause: float, folder: Path) -> str:
    """Return how long commits take where several processes write, to one file or to one each."""
    context = multiprocessing.get_context("spawn")
    results: Queue[list[float]] = context.Queue()
    kind = f"{count}-{shared}-{pause}"
    paths = [folder / f"{kind}-{0 if shared else number}.db" for number in range(count)]
    running = [
        context.Process(target=writer, args=(path, number, results), kwargs={"pause": pause})
        for number, path in enumerate(paths)
    ]
    for process in running:
        process.start()
    took = sorted(chain.from_iterable(results.get() for _ in running))
    for process in running:
        process.join()
    p50, p99, worst = (took[round(share * (len(took) - 1))] * 1e3 for share in (0.5, 0.99, 1.0))
    where = "one file" if shared else "a file each"
    rate = 20 * len(took) / SECONDS
    return (
        f"{count} processes, {where:11}, {'paced' if pause else 'flat out'}: {rate:7,.0f} messages/s,"
        f" commits p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {worst:.0f} ms"
    )


def main() -> None:
    """Measure everything, and say so."""
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        messages = said(500)
        for batch in (8, 60, 2_000):
            for kind in _SHAPES:
                sys.stdout.write(shape(kind, messages, batch=batch, folder=folder) + "\n")
        for pause in (0.02, 0.0):
            for count, shared in ((1, True), (3, True), (3, False)):
                sys.stdout.write(processes(count, shared=shared, pause=pause, folder=folder) + "\n")


if __name__ == "__main__":
    main()
