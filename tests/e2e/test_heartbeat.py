"""R14: a quiet stream is not a dead one: heartbeats come, and move the cursor."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from petit.contracts.cursor import Cursor
from tests.e2e.people import People
from tests.e2e.wire import RawFrame, Transport, opened

MOST_S: Final = 25
SLACK_S: Final = 3.0


@pytest.mark.timeout(60)
async def test_a_quiet_stream_hears_a_heartbeat_that_moves_its_cursor(
    people: People, figure: Callable[[str], None]
) -> None:
    """R14: at least every 25 s, on both transports, with the head's offset, although nothing concerned the reader."""
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="elsewhere")).id

    async def one(transport: Transport) -> tuple[RawFrame, RawFrame]:
        async with opened(transport, ada.client.base_url, token=await ada.token()) as wire:
            hello = await wire.frame()
            assert 0 < hello.data["heartbeat_s"] <= MOST_S
            sent = await bob.client.send(chat, "not for ada")
            beat = await wire.frame(within_s=hello.data["heartbeat_s"] + SLACK_S)
            while beat.data.get("head", sent.offset) < sent.offset:  # one that was on its way already
                beat = await wire.frame(within_s=hello.data["heartbeat_s"] + SLACK_S)
            return hello, beat

    beats = await asyncio.gather(one("sse"), one("ws"))

    for hello, beat in beats:
        assert beat.event == "heartbeat"
        assert beat.id is not None
        assert hello.id is not None
        assert Cursor.parse(beat.id) > Cursor.parse(hello.id)
        assert beat.data["head"] >= Cursor.parse(beat.id).offset
    figure(f"heartbeat every {beats[0][0].data['heartbeat_s']} s")
