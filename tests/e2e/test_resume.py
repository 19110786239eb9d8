"""R14, R16: a stream that is cut and resumed, on any edge and over either transport, has neither gap nor double."""

import random
from typing import Any

import pytest

from petit.contracts.cursor import Cursor
from petit.contracts.resources import Sent
from tests.e2e.people import People, Person
from tests.e2e.scale import scaled, within
from tests.e2e.stack import Stack
from tests.e2e.wire import RawFrame, RefusedStream, Transport, open_sse, open_ws, opened, signals
from tests.e2e.writing import until_written, writing

DROPS = scaled(20, full=100)
MOST_FRAMES = 25
"""Frames that a connection lives for, at most, before it is cut."""


class Device:
    """A device that loses its connection all the time, and keeps what it was told."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self.cursor: str | None = None
        self.signals: list[dict[str, Any]] = []
        self.edges: set[str] = set()

    async def connect(self, transport: Transport, *, frames: int | None = None, until: Sent | None = None) -> None:
        """Resume where the last connection ended; read so many frames, or up to a message; cut."""
        token = await self._person.token()
        query, headers = {"cursor": self.cursor}, dict[str, str]()
        if transport == "sse" and self.cursor is not None:
            query, headers = {}, {"Last-Event-ID": self.cursor}
        async with opened(transport, self._person.client.base_url, token=token, headers=headers, **query) as wire:
            self._greet(await wire.frame())
            read = 0
            while frames is None or read < frames:
                self._take(await wire.frame())
                read += 1
                if until is not None and self.signals and self.signals[-1]["id"] == until.id:
                    break
            wire.cut()

    def _greet(self, hello: RawFrame) -> None:
        assert hello.event == "hello"
        assert hello.data["user"] == self._person.id
        assert hello.data["resumed"] is (self.cursor is not None)
        assert hello.id == hello.data["cursor"]
        assert self.cursor is None or hello.id == self.cursor, "hello's id is the cursor resumed from"
        self.cursor = hello.id
        self.edges.add(hello.data["connection"].rpartition("-")[0])

    def _take(self, frame: RawFrame) -> None:
        assert frame.id, f"a {frame.event} frame without an id"
        assert self.cursor is not None
        assert len(frame.id) <= 64
        if frame.event == "signal":
            assert Cursor.parse(frame.id).offset == frame.data["offset"], "a frame's id is its own offset"
            assert Cursor.parse(frame.id) > Cursor.parse(self.cursor), "in order, and never twice"
            self.signals.append(frame.data)
        else:
            assert Cursor.parse(frame.id) >= Cursor.parse(self.cursor)
            assert frame.event in {"heartbeat", "ephemeral", "gap"}
        self.cursor = frame.id


@pytest.mark.proof
@pytest.mark.parametrize("transports", [("sse",), ("ws",), ("sse", "ws")], ids=["sse", "ws", "switching"])
@within(60)
async def test_a_stream_cut_again_and_again_misses_nothing_and_repeats_nothing(
    people3: People, transports: tuple[Transport, ...]
) -> None:
    """R14, R16: dropped and resumed 100 times (20 in the short run) over three edges, while two people write."""
    chance = random.Random(len(transports))
    ada, bob, cat = await people3(3)
    chats = [(await ada.client.create_chat("group", title="g", members=[bob.id, cat.id])).id for _ in range(3)]
    device, drops = Device(ada), 0
    await device.connect(transports[0], frames=0)

    async with writing(bob, *chats, pause_s=0.004) as bobs, writing(cat, *reversed(chats), pause_s=0.007) as cats:
        while drops < DROPS or len(device.edges) < 3:
            await device.connect(chance.choice(transports), frames=chance.randint(0, MOST_FRAMES))
            drops += 1
            if chance.random() < 0.3:
                await until_written(bobs, more=chance.randint(1, 20))
    written = sorted([*bobs, *cats], key=lambda sent: sent.offset)
    await device.connect(transports[0], until=written[-1])

    assert [signal["id"] for signal in device.signals] == [sent.id for sent in written]
    for chat in chats:
        seqs = [signal["seq"] for signal in device.signals if signal["chat"] == chat]
        assert seqs == list(range(1, len(seqs) + 1))


async def test_last_event_id_wins_over_the_cursor_of_the_url(stack: Stack, people: People) -> None:
    """R14: EventSource reconnects to the same URL, with the id of the last frame in a header."""
    ada = await people.one()
    token, chat = await ada.token(), (await ada.client.create_chat("group", title="g")).id
    async with open_sse(stack.url, token=token) as wire:
        older = (await wire.frame()).id
        sent = [await ada.client.send(chat, str(number)) for number in range(4)]
        ids = [(await anext(signals(wire))).id for _ in sent]

    async with open_sse(stack.url, token=token, headers={"Last-Event-ID": ids[2] or ""}, cursor=older) as wire:
        hello, first = await wire.frame(), await anext(signals(wire))

    assert hello.id == ids[2]
    assert first.data["id"] == sent[3].id


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_without_a_cursor_the_stream_starts_now(people: People, transport: Transport) -> None:
    """API section 3: what was before is not in it, what comes after is."""
    ada = await people.one()
    chat = (await ada.client.create_chat("group", title="g")).id
    await ada.client.send(chat, "before")

    async with opened(transport, ada.client.base_url, token=await ada.token()) as wire:
        hello = await wire.frame()
        sent = await ada.client.send(chat, "after")
        first = await anext(signals(wire))

    assert hello.data["resumed"] is False
    assert first.data["id"] == sent.id


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_one_cursor_serves_every_chat_after_a_long_absence(people: People, transport: Transport) -> None:
    """R14: more chats than connections, all resumed by one cursor, in the log's order."""
    ada, bob = await people(2)
    chats = [(await bob.client.create_chat("group", title="g", members=[ada.id])).id for _ in range(10)]
    async with opened(transport, ada.client.base_url, token=await ada.token()) as wire:
        cursor = (await wire.frame()).id
    sent = [await bob.client.send(chats[number * 7 % 10], str(number)) for number in range(60)]

    async with opened(transport, ada.client.base_url, token=await ada.token(), cursor=cursor) as wire:
        await wire.frame()
        got = [(await anext(signals(wire))).data["id"] for _ in sent]

    assert got == [each.id for each in sent]


@pytest.mark.timeout(90)
@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_more_than_the_backlog_bound_comes_as_a_gap_first(people: People, transport: Transport) -> None:
    """API section 3: beyond 1,000 signals of one chat, `gap` says what to page; its id is the cursor resumed from."""
    ada, bob = await people(2)
    loud, quiet = [
        (await bob.client.create_chat("group", title=title, members=[ada.id])).id for title in ("loud", "quiet")
    ]
    async with opened(transport, ada.client.base_url, token=await ada.token()) as wire:
        cursor = (await wire.frame()).id
    early = await bob.client.send(quiet, "early")
    offsets = [(await bob.client.send(loud, str(number))).offset for number in range(1_100)]
    late = await bob.client.send(quiet, "late")

    frames: list[RawFrame] = []
    async with opened(transport, ada.client.base_url, token=await ada.token(), cursor=cursor) as wire:
        await wire.frame()
        while not frames or frames[-1].data.get("id") != late.id:
            frames.append(await wire.frame())

    gap, signal_frames = frames[0], [frame for frame in frames if frame.event == "signal"]
    assert (gap.event, gap.id, gap.data["chat"]) == ("gap", cursor, loud)
    page = (await ada.ask("GET", gap.data["href"])).json()
    assert [m for m in page["items"] if gap.data["after_offset"] < m["offset"] <= gap.data["to_offset"]], gap.data
    live = [frame.data["offset"] for frame in signal_frames if frame.data["chat"] == loud]
    assert gap.data["after_offset"] < offsets[0]
    assert [offset for offset in offsets if offset > gap.data["to_offset"]] == live
    assert [f.data["id"] for f in signal_frames if f.data["chat"] == quiet] == [early.id, late.id]


@pytest.mark.parametrize("transport", ["sse", "ws"])
@pytest.mark.parametrize("cursor", ["nonsense", "AQAAAAEAAAAAAAAA", "x" * 65, "AQAAA8EAAAAAAAAAAQ"])
async def test_a_cursor_that_is_not_ours_is_gone(people: People, transport: Transport, cursor: str) -> None:
    """API section 3: 410 `cursor.expired` with where to start."""
    ada = await people.one()

    with pytest.raises(RefusedStream) as refused:
        async with opened(transport, ada.client.base_url, token=await ada.token(), cursor=cursor):
            pass
    asked = await ada.ask("GET", f"/v1/cursor?cursor={cursor}")

    assert refused.value.status == asked.status_code == 410
    assert refused.value.problem["code"] == asked.json()["code"] == "cursor.expired"
    assert refused.value.problem["start"] == {"chats": "/v1/chats", "stream": "/v1/stream"}


async def test_a_cursor_of_ours_is_said_to_be_good(people: People) -> None:
    """API section 3: `GET /v1/cursor`, for scripts that cannot see a stream's status."""
    ada = await people.one()
    async with open_ws(ada.client.base_url, token=await ada.token()) as wire:
        cursor = (await wire.frame()).id

    assert (await ada.ask("GET", f"/v1/cursor?cursor={cursor}")).status_code == 200


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_stream_asks_for_nothing_it_does_not_know(people: People, transport: Transport) -> None:
    """API section 1: an unknown query parameter, or a payload that there is not, is 422."""
    ada = await people.one()

    for name, value in (("since", "now"), ("payload", "some")):
        query: dict[str, str | None] = {name: value}
        with pytest.raises(RefusedStream) as refused:
            async with opened(transport, ada.client.base_url, token=await ada.token(), headers=None, **query):
                pass
        assert (refused.value.status, refused.value.problem["code"]) == (422, "request.invalid")
