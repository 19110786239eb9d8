"""How a batch becomes writes: rows of one partition together, and in which order they may be seen.

Each write is a statement with its values, the last of which is its timestamp. Rows of one partition are one mutation,
and small mutations go some to a request, because a request costs more than a row, here and there. Nothing depends on a
request being done as a whole: what a failure leaves out is written again, by whoever folds the same stretch.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from petit.chat.adapters.cql import statements as cql
from petit.chat.adapters.cql.driver import unset
from petit.chat.adapters.cql.places import begins_slice, bucket, joined, key, shard, slice_of, window
from petit.chat.domain.rows import Batch, ChatRow, MemberEnd, MemberRow, SignalRow
from petit.contracts.ids import ChatId, Seq, UserId

Write = tuple[str, Sequence[Any]]
"""A statement and its values."""
TOGETHER: Final = 10
"""Partitions in one request; beyond it Cassandra warns (`unlogged_batch_across_partitions_warn_threshold`)."""
_SMALL: Final = 3_500
"""Bytes of a request to several partitions; Cassandra warns beyond 5 KiB (`batch_size_warn_threshold`)."""
_ROWS_MOST: Final = 100
_BYTES_MOST: Final = 64 * 1024
"""What one request takes of one partition."""
_TEXT: Final = (str, bytes)
_VALUE: Final = 12
"""Bytes that a value takes besides what it says, more or less."""


def rows(batch: Batch, *, epoch: int) -> Iterator[Sequence[Write]]:
    """Give everything that must be there before the chats' own rows, in requests.

    Args:
        epoch: Of the log.
    """
    partitions: defaultdict[tuple[Any, ...], list[Write]] = defaultdict(list)
    for table, partition, write in _rows(batch, epoch):
        partitions[table, *partition].append(write)
    yield from _packed(partitions.values())


def chats(batch: Batch) -> Iterator[Sequence[Write]]:
    """Give the chats' own rows, in requests."""
    # What was not there is written as such: a title may have been taken back.
    yield from _packed([(cql.PUT_CHAT, (*row, row.offset))] for row in batch.chats)


def checkpoints(batch: Batch) -> Iterator[Sequence[Write]]:
    """Give the checkpoints, in one request; there is none at 0, which is where a partition begins anyway."""
    due = [(cql.PUT_CHECKPOINT, (p, offset, offset)) for p, offset in batch.checkpoints.items() if offset]
    if due:
        yield due


def delivered(markers: Mapping[tuple[ChatId, UserId], Seq]) -> Iterator[Sequence[Write]]:
    """Give delivered markers, in requests."""
    partitions: defaultdict[ChatId, list[Write]] = defaultdict(list)
    for (chat, user), seq in markers.items():
        partitions[chat].append((cql.PUT_DELIVERED, (chat, key(user), seq, seq)))
    yield from _packed(partitions.values())


def _rows(batch: Batch, epoch: int) -> Iterator[tuple[str, tuple[Any, ...], Write]]:
    """Give each row with its table and partition."""
    yield from _signals(batch)
    yield from _members(batch)
    for row in batch.memberships.values():
        user = key(row.user)
        at = (row.offset, joined(row.joined_offset), row.role, row.offset)
        yield "memberships", (user,), (cql.PUT_MEMBERSHIP, (user, row.chat, *at))
    for (chat, user), seq in batch.markers.items():
        yield "markers", (chat,), (cql.PUT_MARKER, (chat, key(user), epoch, seq, seq))
    for person in batch.persons:
        named, part = key(person.user), window(person.offset)
        text = (person.payload, person.to_members, unset(person.also), unset(person.successor))
        yield "person_signals", (named, part), (cql.PUT_PERSON, (named, part, person.offset, *text, person.offset))
        yield "person_windows", (named,), (cql.PUT_WINDOW, (named, part, person.offset))
    for raw in batch.raw:
        stretch = (raw.scope, raw.key, window(raw.offset))
        yield "raw_signals", stretch, (cql.PUT_RAW, (*stretch, raw.offset, raw.kind, raw.payload, raw.offset))
    for room in batch.rooms.values():
        place = (shard(room.chat), room.folded, room.chat)
        if room.listed:
            yield "directory", place[:1], (cql.PUT_LISTING, (*place, room.offset, room.offset))
        else:
            yield "directory", place[:1], (cql.DROP_LISTING, (room.offset, *place))
    for void in batch.voids:
        yield "unannounced", (void.partition,), (cql.PUT_VOID, (*void, void.offset))
    for told in batch.announced:
        if told.offset > 0:  # what a signal says of itself may be anything
            yield "unannounced", (told.partition,), (cql.DROP_VOID, (told.offset, told.partition, told.offset))
    for offset, version in batch.rules.items():
        yield "rules", (), (cql.PUT_RULES, (offset, version, offset))


def _signals(batch: Batch) -> Iterator[tuple[str, tuple[Any, ...], Write]]:
    for row, nth, head in _numbered(batch):
        yield from _named(row, nth)
        place = (row.chat, slice_of(nth))
        if begins_slice(nth):
            yield "slices", (row.chat,), (cql.PUT_SLICE, (row.chat, row.offset, place[1], row.offset))
        seen = (row.to_members, unset(row.also), unset(row.successor))
        if row.seq is not None:
            yield "timeline", place, (cql.PUT_PLACE, (*place, row.offset, head, row.offset))
            spot = (row.chat, bucket(row.seq))
            values = (*spot, row.seq, row.offset, row.id, row.by, row.payload, *seen, row.offset)
            yield "messages", spot, (cql.PUT_MESSAGE, values)
            continue
        text, raw = (row.payload, None) if isinstance(row.payload, str) else (None, row.payload)
        said = (unset(row.id), unset(row.by), unset(text), unset(raw), *seen, unset(row.void))
        yield "timeline", place, (cql.PUT_SIGNAL, (*place, row.offset, head, *said, row.offset))


def _named(row: SignalRow, nth: int) -> Iterator[tuple[str, tuple[Any, ...], Write]]:
    if row.id is not None and row.by is not None:
        id, found = key(row.id), (row.offset, slice_of(nth), row.seq or 0)
        yield "ids", (id,), (cql.PUT_ID, (id, row.chat, key(row.by), *found, row.offset))


def _members(batch: Batch) -> Iterator[tuple[str, tuple[Any, ...], Write]]:
    began = {(row.chat, row.user, row.from_offset) for row in batch.opened}
    for row in batch.opened:
        yield from _opened(row)
    for end in batch.ended:
        yield from _ended(end, gone=(end.chat, end.user, end.to_offset) not in began)


def _opened(row: MemberRow) -> Iterator[tuple[str, tuple[Any, ...], Write]]:
    user = key(row.user)
    rest, at = (row.role, row.joined_at), row.from_offset
    yield "members", (row.chat,), (cql.PUT_MEMBER, (row.chat, user, at, row.joined_offset, at, *rest, at))
    yield "member_spans", (row.chat, user), (cql.PUT_SPAN, (row.chat, user, at, row.joined_offset, *rest, at))
    if row.joined_offset == at:
        yield "members_by_joining", (row.chat,), (cql.PUT_JOINING, (row.chat, at, user, at))


def _ended(row: MemberEnd, *, gone: bool) -> Iterator[tuple[str, tuple[Any, ...], Write]]:
    """Give the end of an interval; `gone` unless another begins at the same offset, with another role."""
    user, at = key(row.user), row.to_offset
    yield "member_spans", (row.chat, user), (cql.END_SPAN, (row.chat, user, row.from_offset, at, at))
    if gone:
        yield "members", (row.chat,), (cql.END_MEMBER, (row.chat, user, at, at))
        yield "members_by_joining", (row.chat,), (cql.DROP_JOINING, (at, row.chat, row.joined_offset, user))


def _numbered(batch: Batch) -> Iterator[tuple[SignalRow, int, int]]:
    """Give each signal with its number in its chat and the seq of the newest message as of it.

    Both are counted back from the chat's row, which is as of the last of them: a batch holds all signals of a chat
    from its first to its last one.
    """
    left: dict[ChatId, tuple[int, int]] = {row.chat: _counts(row) for row in batch.chats}
    for row in reversed(batch.signals):
        nth, head = left[row.chat]
        yield row, nth, head
        left[row.chat] = nth - 1, head if row.seq is None else row.seq - 1


def _counts(row: ChatRow) -> tuple[int, int]:
    return row.signals, row.head_seq


def _packed(partitions: Iterable[Sequence[Write]]) -> Iterator[Sequence[Write]]:
    """Put the writes of partitions into requests: several small ones into one, a large one into several."""
    request: list[Write] = []
    held = size = 0
    for writes, weight in chain.from_iterable(map(_cut, partitions)):
        if request and (held == TOGETHER or size + weight > _SMALL):
            yield request
            request, held, size = [], 0, 0
        request += writes
        held, size = held + 1, size + weight
    if request:
        yield request


def _cut(writes: Sequence[Write]) -> Iterator[tuple[Sequence[Write], int]]:
    """Cut the writes of one partition into pieces of a sensible size; gives each with its size in bytes."""
    begin = size = 0
    for end, (_, values) in enumerate(writes, start=1):
        size += sum(len(value) for value in values if value.__class__ in _TEXT) + _VALUE * len(values)
        if end - begin == _ROWS_MOST or size >= _BYTES_MOST:
            yield writes[begin:end], size
            begin, size = end, 0
    if begin < len(writes):
        yield writes[begin:], size
