"""From received bytes to verdicts: whatever way the bytes are cut, each delivery is seen once and checked."""

import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petit.cli.load.audit import Listener, Room, Witness, explain
from petit.cli.load.frames import BrokenFraming, Dechunk, client_frame, server_frame, unmask, walk
from petit.cli.load.scan import Scan, SseScan, WsScan
from petit.cli.load.stamp import MIN_SIZE, Stamp

STAMP = Stamp.of("0123abcd", size=60)
CHAT = "0193e0f0-0000-7000-8000-000000000001"


def signal(number: int, *, seq: int) -> str:
    data = {
        "offset": seq + 1000,
        "seq": seq,
        "id": "0193e0f0-0000-7000-8000-000000000002",
        "type": "msg",
        "chat": CHAT,
        "by": "ada",
        "at": "2026-11-20T21:04:05.678Z",
        "data": {"text": STAMP.text(number, due=number * 10).decode(), "files": []},
    }
    return json.dumps(data, separators=(",", ":"))


def sse(event: str, *, cursor: str, data: str, chunked: bool) -> bytes:
    frame = f"id: {cursor}\nevent: {event}\ndata: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(frame), frame) if chunked else frame


def ws(event: str, *, cursor: str, data: str) -> bytes:
    return server_frame(f'{{"id":"{cursor}","event":"{event}","data":{data}}}'.encode())


def cut(data: bytes, *, at: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[start:stop] for start, stop in pairwise(edges)]


def listening() -> tuple[Listener, Witness]:
    listener = Listener(Room(index=0, chat=CHAT), name="ada")
    return listener, Witness(listener, mark=STAMP.mark, size=STAMP.size)


def feed(scan: Scan, pieces: list[bytes]) -> bytes:
    return b"".join(scan.feed(piece, now=10**9 + place) for place, piece in enumerate(pieces))


@given(count=st.integers(0, 12), at=st.lists(st.integers(0, 10_000), max_size=30), full=st.booleans())
def test_an_sse_stream_may_be_cut_anywhere_between_bytes(count: int, at: list[int], *, full: bool) -> None:
    frames = [sse("hello", cursor="c0", data='{"user":"ada"}', chunked=full)]
    frames += [sse("signal", cursor=f"c{n + 1}", data=signal(n, seq=n + 1), chunked=full) for n in range(count)]
    listener, witness = listening()
    scan = SseScan(listener, mark=STAMP.mark, witness=witness if full else None, chunked=full)

    feed(scan, cut(b"".join(frames), at=at))

    assert [int(number) for number in listener.room.order] == list(range(count))
    assert scan.cursor == f"c{count}"
    assert scan.greeted
    assert explain(listener.room, [listener]) == []
    assert listener.room.offsets == ({n: n + 1001 for n in range(count)} if full else {})


@given(count=st.integers(0, 12), at=st.lists(st.integers(0, 10_000), max_size=30), full=st.booleans())
def test_a_websocket_stream_may_be_cut_anywhere_between_bytes(count: int, at: list[int], *, full: bool) -> None:
    ping = bytes((0x89, 2)) + b"hi"
    frames = [ws("hello", cursor="c0", data='{"user":"ada"}'), ping]
    frames += [ws("signal", cursor=f"c{n + 1}", data=signal(n, seq=n + 1)) for n in range(count)]
    listener, witness = listening()
    scan = WsScan(listener, mark=STAMP.mark, witness=witness if full else None)

    answered = feed(scan, cut(b"".join(frames), at=at))

    assert [int(number) for number in listener.room.order] == list(range(count))
    assert scan.cursor == f"c{count}"
    assert scan.greeted
    assert unmask(answered) == (b"hi", b"")
    assert explain(listener.room, [listener]) == []


def test_a_light_scan_finds_marks_in_a_chunked_stream() -> None:
    listener, _ = listening()
    scan = SseScan(listener, mark=STAMP.mark, witness=None, chunked=True)
    frames = [sse("signal", cursor=f"c{n}", data=signal(n, seq=n + 1), chunked=True) for n in range(3)]

    feed(scan, frames)

    assert [int(number) for number in listener.room.order] == [0, 1, 2]
    assert scan.cursor == "c2"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([0, 1, 2, 3], []),
        ([0, 2, 3], ["bob: lost 1 (1)"]),
        ([0, 1, 2], ["bob: lost 1 (3)"]),
        ([0, 1, 1, 2, 3], ["bob: doubled 1 (1)"]),
        ([0, 2, 1, 3], ["bob: reordered, unlike 2 (2, 1)"]),
    ],
)
def test_a_listener_that_differs_is_explained(numbers: list[int], words: list[str]) -> None:
    room = Room(index=0, chat=CHAT)
    ada, bob = Listener(room, name="ada"), Listener(room, name="bob")

    for listener, order in ((ada, [0, 1, 2, 3]), (bob, numbers)):
        for number in order:
            listener.take(STAMP.text(number, due=number).split(STAMP.mark), now=number + 1)

    assert explain(room, [ada, bob]) == words


def test_whoever_is_ahead_may_be_the_one_that_lost_something() -> None:
    room = Room(index=0, chat=CHAT)
    hasty, ada = Listener(room, name="hasty"), Listener(room, name="ada")

    for listener, order in ((hasty, [0, 2]), (ada, [0, 1, 2])):
        for number in order:
            listener.take(STAMP.text(number, due=number).split(STAMP.mark), now=number + 1)

    assert explain(room, [hasty, ada]) == ["hasty: lost 1 (1)"]


@pytest.mark.parametrize(
    ("event", "data", "words"),
    [
        ("signal", signal(0, seq=9), "seq 9 after 1"),
        ("signal", signal(0, seq=1), "offset 1001 after 1001"),
        ("signal", signal(0, seq=2).replace(CHAT, "elsewhere"), "chat elsewhere"),
        ("signal", signal(0, seq=2).replace("xxxx", "xxx"), "characters instead of 60"),
        ("signal", "{", "no JSON"),
        ("gap", '{"chat":"x"}', "gap frame"),
        ("surprise", "{}", "unknown event 'surprise'"),
    ],
)
def test_a_witness_objects(event: str, data: str, words: str) -> None:
    listener, witness = listening()
    witness.frame("signal", cursor="c1", data=signal(0, seq=1).encode())

    witness.frame(event, cursor="c2", data=data.encode())

    assert any(words in what for what in listener.room.violations), listener.room.violations


@given(parts=st.lists(st.binary(min_size=1, max_size=50), max_size=8), at=st.lists(st.integers(0, 1000), max_size=20))
def test_dechunking_undoes_the_chunked_coding(parts: list[bytes], at: list[int]) -> None:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    dechunk = Dechunk()

    body = b"".join(dechunk.feed(piece) for piece in cut(coded, at=at))

    assert body == b"".join(parts)


def test_a_chunk_size_that_is_no_number_is_refused() -> None:
    with pytest.raises(BrokenFraming):
        Dechunk().feed(b"id: 1\r\n")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_of_every_length_survive(size: int) -> None:
    payload = b"x" * size

    frames, end = walk(server_frame(payload) + b"\x81")

    assert [(start, stop - start) for _, start, stop in frames] == [(end - size, size)]
    assert unmask(client_frame(payload)) == (payload, b"") or not size


def test_a_text_has_the_size_asked_for() -> None:
    smallest = Stamp.of("0123abcd", size=MIN_SIZE)

    assert len(smallest.text(999_999_999, due=10**18 - 1)) == MIN_SIZE
    with pytest.raises(ValueError, match="no room"):
        Stamp.of("0123abcd", size=MIN_SIZE - 1)
