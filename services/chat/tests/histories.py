"""Random logs, and the fold of one as the service does it: in batches, with what memory forgets read from the store."""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from hypothesis import strategies as st

from petit.chat.domain.fold import fold_chat, fold_other
from petit.chat.domain.rows import Batch, SignalRow
from petit.chat.handlers.states import Load, States
from petit.chat.ports import Repository
from petit.contracts.ids import ChatId, Offset, UserId, dm_chat_id
from petit.contracts.subjects import PARTITIONS, chat_signal, parse, partition, person_signal

PEOPLE: Final = tuple(UserId(name) for name in ("ada", "bob", "cat", "dan", "eve"))
DM: Final = dm_chat_id(PEOPLE[0], PEOPLE[1])
CHATS: Final = (
    DM,
    ChatId("00000000-0000-7000-8000-00000000000a"),
    ChatId("00000000-0000-7000-8000-00000000000b"),
)
AT: Final = "2026-11-20T21:04:05.678Z"


class Stored(NamedTuple):
    """One entry of a log."""

    subject: str
    payload: bytes


people = st.sampled_from(PEOPLE)
chats = st.sampled_from(CHATS)
ids = st.integers(0, 40).map(lambda n: f"00000000-0000-7000-8000-{n:012d}")
texts = st.sampled_from(["", "hello", "nul \x00 and \x1f", "emoji 😀", 'quote " and \\', "x" * 5_000])


def signal(chat: ChatId, type: str, *, by: str, data: object, id: str) -> Stored:
    """Return a signal of a chat as a gateway stores it."""
    body = {"v": 1, "id": id, "type": type, "chat": chat, "by": by, "at": AT, "data": data}
    return Stored(chat_signal(chat, type), json.dumps(body, ensure_ascii=False).encode())


def _signals(type: str, data: "st.SearchStrategy[object]") -> st.SearchStrategy[Stored]:
    return st.builds(signal, chats, st.just(type), by=people, data=data, id=ids)


def _of_oneself(type: str, how: str) -> st.SearchStrategy[Stored]:
    """Return joins and leaves of somebody who acts for himself."""
    return st.builds(
        lambda chat, user, id: signal(chat, type, by=user, data={"user": user, "how": how}, id=id), chats, people, ids
    )


def _created(chat: ChatId, kind: str, title: str | None) -> st.SearchStrategy[Stored]:
    def made(by: UserId, other: UserId, id: str) -> Stored:
        return signal(chat, "chat.created", by=by, data={"kind": kind, "title": title, "members": [other]}, id=id)

    return st.builds(made, people, people, ids)


def _to_person(user: UserId, id: str) -> Stored:
    body = {"v": 1, "id": id, "type": "invited", "person": user, "by": "ada", "at": AT, "data": {}}
    return Stored(person_signal(user, "invited"), json.dumps(body).encode())


numbers = st.integers(-5, 80) | st.just(10**30)
created = st.one_of(
    _created(DM, "dm", None), _created(CHATS[1], "group", "Group"), _created(CHATS[2], "room", "Straße")
)
said = _signals("msg", st.fixed_dictionaries({"text": texts, "mentions": st.lists(people, max_size=2)}))
moved = st.one_of(
    _of_oneself("joined", "join"),
    _of_oneself("left", "leave"),
    _signals("joined", st.fixed_dictionaries({"user": people, "how": st.just("invite")})),
    _signals("left", st.fixed_dictionaries({"user": people, "how": st.just("removed")})),
    _signals(
        "role", st.fixed_dictionaries({"user": people, "role": st.sampled_from(["owner", "moderator", "member"])})
    ),
)
odd = st.one_of(
    _signals("chat.updated", st.fixed_dictionaries({"title": st.sampled_from(["Straße", "other", ""])})),
    _signals("view", st.fixed_dictionaries({"seq": numbers})),
    _signals("msg.void", st.fixed_dictionaries({"message": ids, "offset": numbers, "reason": st.just("full")})),
    _signals("reaction", st.just({"emoji": "x"})),
    st.builds(_to_person, people, ids),
    st.builds(Stored, st.just("signal.0.all.announcement"), st.binary(max_size=8)),
    st.builds(Stored, chats.map(lambda chat: chat_signal(chat, "msg")), st.binary(max_size=8)),
    st.builds(Stored, chats.map(lambda chat: chat_signal(chat, "msg")), st.just(b'{"text": "\\ud800"}')),
    st.builds(lambda chat, entry: Stored(chat_signal(chat, "msg"), entry.payload), chats, said),
)
logs = st.lists(st.one_of(said, moved, moved, created, odd), min_size=1, max_size=60)
"""Anything that a log may hold, most of it sensible; the first entry is at offset 1."""


def cut(log: Sequence[Stored], sizes: Iterable[int]) -> list[list[tuple[Offset, Stored]]]:
    """Return a log in batches of these sizes, again and again, each entry with its offset."""
    numbered = iter([(Offset(number), entry) for number, entry in enumerate(log, start=1)])
    batches = (list(itertools.islice(numbered, max(1, size))) for size in itertools.cycle(sizes))
    return list(itertools.takewhile(bool, batches))


def everywhere(load: Load) -> States:
    """Return the states of a replica that folds every partition."""
    states = States(load, capacity=100_000)
    states.begin(range(PARTITIONS))
    return states


async def fold(
    repository: Repository,
    batches: Iterable[Sequence[tuple[Offset, Stored]]],
    *,
    forget: bool = False,
) -> dict[Offset, SignalRow]:
    """Fold batches into a read model; return what became of the signals of chats that were not folded before.

    Args:
        forget: Begin each batch with an empty memory, as after a crash between two of them.
    """
    states = everywhere(repository.chats)
    rows: dict[Offset, SignalRow] = {}
    for entries in batches:
        if forget:
            states = everywhere(repository.chats)
        batch = Batch()
        for offset, entry in entries:
            under = parse(entry.subject)
            assert under is not None
            if under.scope != "chat":
                fold_other(under, entry.payload, offset=offset, into=batch)
                continue
            chat = (await states.load([ChatId(under.key)]))[ChatId(under.key)]
            if offset > chat.state.offset:
                rows[offset] = fold_chat(chat, entry.payload, offset=offset, into=batch)
            batch.checkpoints[partition(under.key)] = offset
        batch.seal()
        await repository.commit(batch)
    return rows
