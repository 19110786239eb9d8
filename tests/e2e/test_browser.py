"""R14: the browser itself reconnects to the stream, seen in a real one."""

import random
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser

from tests.e2e.browser import Pane, chromium, profile
from tests.e2e.cutting import wired
from tests.e2e.people import People
from tests.e2e.stack import Stack
from tests.e2e.waiting import eventually
from tests.e2e.writing import until_written, writing

pytestmark = [pytest.mark.embedded, pytest.mark.browser]

CUTS = 20
BUSY_S = 30.0


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.mark.timeout(180)
async def test_a_page_that_the_browser_reconnects_shows_every_message_once(
    stack: Stack, people: People, browser: Browser
) -> None:
    """Cut off and restored by the browser's own EventSource 20 times, while somebody writes."""
    chance = random.Random(20)
    ada, bob = await people(2)
    chat = (await ada.client.create_chat("group", title="Garden", members=[bob.id])).id
    early = [await bob.client.send(chat, f"early {number}") for number in range(3)]

    async with wired(urlsplit(stack.url).port or 0) as wire, profile(browser) as context:
        pane = await Pane.opened(context, wire.url, name=ada.username)
        await pane.titled("Garden")
        async with writing(bob, chat, pause_s=0.2) as sent:
            for number in range(1, CUTS + 1):
                await until_written(sent, more=chance.randint(1, 4))
                wire.cut(mended=chance.random() < 0.5)
                if not wire.mended:
                    await until_written(sent, more=chance.randint(1, 4))
                    wire.mended = True
                await _until_back(pane, hellos=number + 1)
        written = [*early, *sent]
        await _until_shown(pane, count=len(written))
        shown, watched = await pane.shown(), await pane.watched()

    assert wire.cuts >= CUTS
    assert [row["id"] for row in shown] == [message.id for message in written]
    assert [row["seq"] for row in shown] == list(range(1, len(written) + 1))
    assert [row["offset"] for row in shown] == [message.offset for message in written]
    assert watched["made"] == 1, "one EventSource did it all"
    assert watched["hellos"] == [False, *[True] * CUTS]
    assert watched["offsets"] == sorted({*watched["offsets"]}), "nothing came twice, nothing late"


async def _until_back(pane: Pane, *, hellos: int) -> None:
    async def back() -> bool:
        return len((await pane.watched())["hellos"]) >= hellos

    await eventually(back, within_s=BUSY_S, what=f"hello number {hellos}")


async def _until_shown(pane: Pane, *, count: int) -> None:
    async def all_there() -> bool:
        return await pane.rows.count() >= count

    await eventually(all_there, within_s=BUSY_S, what=f"{count} messages are shown")
