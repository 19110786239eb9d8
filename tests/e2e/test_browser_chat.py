"""The page as two people use it: side by side, in two tabs of one profile, and through trouble."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser import WITHIN_S, Pane, chromium, profile
from tests.e2e.cutting import wired
from tests.e2e.local import LocalStack
from tests.e2e.people import People

pytestmark = [pytest.mark.embedded, pytest.mark.browser, pytest.mark.timeout(90)]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def test_two_people_chat_side_by_side(
    own_stack: Callable[..., LocalStack], browser: Browser, tmp_path: Path
) -> None:
    stack = own_stack()
    stack.start()
    lines = ["Hello Bob", "Hello Ada", "Is it raining?", "<b>Yes</b> & how"]
    async with profile(browser, viewport={"width": 1280, "height": 760}) as context:
        page = await context.new_page()
        await page.goto(stack.url)
        ada, bob = (Pane(page, page.get_by_role("region", name=name)) for name in ("ada", "bob"))
        for pane in (ada, bob):
            await pane.log_in()

        await ada.begin("bob", kind="person")
        await ada.titled("Bob")
        for number, line in enumerate(lines):
            await (ada, bob)[number % 2].say(line)
            for pane in (ada, bob):
                await pane.until_shown(*lines[: number + 1])
        await expect(bob.root.locator(".seen")).to_have_text("")
        await ada.box.focus()
        await expect(bob.root.locator(".seen")).to_have_text("Seen by Ada")

        await ada.begin("Garden", kind="room")
        await ada.titled("Garden")
        await ada.say("The roses are out")
        await bob.begin("Garden", kind="room")
        await bob.titled("Garden")
        await bob.until_shown("The roses are out")
        await expect(ada.root.locator(".seen")).to_have_text("Seen by Bob")
        await bob.show("Ada")
        await ada.say("Bob?")
        unread = bob.root.get_by_role("button", name="Garden").locator(".unread")
        await expect(unread).to_have_text("1 unread")
        await bob.show("Garden")
        await expect(unread).to_be_hidden()
        await page.screenshot(path=tmp_path / "two.png")

        assert [row["seq"] for row in await bob.shown()] == [1, 2]


async def test_the_issuer_may_be_at_another_origin_than_the_page(
    people: People, stack: LocalStack, browser: Browser
) -> None:
    (ada,) = await people(1)
    asked: list[str] = []

    async with profile(browser) as context:
        context.on("request", lambda request: asked.append(request.url))
        url = stack.url.replace("127.0.0.1", "localhost")
        pane = await Pane.opened(context, url, name=ada.username)
        await pane.page.reload()
        await pane.until("Live")
        await pane.root.get_by_role("button", name="Log out").click()
        await expect(pane.root.get_by_role("button", name="Log in")).to_be_visible()

    tokens = [each for each in asked if each.endswith("/token")]
    assert tokens == [f"{stack.issuer}/protocol/openid-connect/token"] * 2
    assert f"{stack.issuer}/protocol/openid-connect/logout" in asked
    assert f"{url}/v1/me" in asked


async def test_a_reload_goes_on_without_a_password(people: People, stack: LocalStack, browser: Browser) -> None:
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="Garden", members=[ada.id])).id
    sent = [await bob.client.send(chat, str(number)) for number in range(120)]

    async with profile(browser) as context:
        pane = await Pane.opened(context, stack.url, name=ada.username)
        await pane.titled("Garden")
        await pane.page.reload()
        await pane.until("Live")
        await pane.until_shown(*map(str, range(70, 120)))
        for first in (20, 0):
            await pane.root.get_by_role("button", name="Earlier messages").click()
            await pane.until_shown(*map(str, range(first, 120)))
        shown = await pane.shown()
        await expect(pane.root.get_by_role("button", name="Earlier messages")).to_have_count(0)
        await pane.root.get_by_role("button", name="Log out").click()
        await pane.page.reload()
        await expect(pane.root.get_by_role("button", name="Log in")).to_be_visible()

    assert [row["id"] for row in shown] == [message.id for message in sent]


async def test_two_people_in_one_profile_never_see_one_another_s_stream(
    people: People, stack: LocalStack, browser: Browser
) -> None:
    """The stream's cookie is one for all tabs: the first tab has to notice that it is another person's now."""
    ada, bob, cat = await people(3)
    private = (await cat.client.create_chat("dm", members=[bob.id])).id
    shared = (await cat.client.create_chat("group", title="Garden", members=[ada.id, bob.id])).id

    async with wired(urlsplit(stack.url).port or 0) as wire, profile(browser) as context:
        adas = await Pane.opened(context, wire.url, name=ada.username)
        bobs = await Pane.opened(context, wire.url, name=bob.username)
        await cat.client.send(shared, "before")
        for pane in (adas, bobs):
            await pane.show("Garden")
            await pane.until_shown("before")
        wire.cut()
        alone = await cat.client.send(private, "for Bob alone")
        later = await cat.client.send(shared, "for both")
        for pane in (adas, bobs):
            await pane.until_shown("before", "for both")
        adas_watched, bobs_watched = await adas.watched(), await bobs.watched()
        entries = await adas.root.locator(".chats li").count()
        await bobs.show(cat.username.title())
        await bobs.until_shown("for Bob alone")

    assert adas_watched["hellos"] == [False, True], "the browser came back, and as Bob"
    assert all(offset < alone.offset for offset in adas_watched["offsets"]), "so she read on by a stream of her own"
    assert later.offset in bobs_watched["offsets"]
    assert entries == 1


async def test_a_message_whose_answer_was_lost_is_sent_once(
    people: People, stack: LocalStack, browser: Browser
) -> None:
    ada, bob = await people(2)
    chat = (await ada.client.create_chat("dm", members=[bob.id])).id

    async with wired(urlsplit(stack.url).port or 0) as wire, profile(browser) as context:
        pane = await Pane.opened(context, wire.url, name=ada.username)
        await pane.show(bob.username.title())
        async with bob.client.stream() as stream:
            wire.deaf = True
            await pane.say("once")
            arrived = await anext(aiter(stream))
        await expect(pane.waiting).to_have_text("onceSending…")
        wire.deaf = False
        wire.cut()
        await pane.say("and another")
        await pane.until_shown("once", "and another")
        await expect(pane.waiting).to_have_count(0)
        shown = await pane.shown()
    history = await bob.client.history(chat)

    assert [message.text for message in history.items] == ["once", "and another"]
    assert shown[0]["id"] == arrived.id == history.items[0].id


async def test_what_is_refused_comes_back_to_the_box(people: People, stack: LocalStack, browser: Browser) -> None:
    ada, bob = await people(2)
    chat = (await bob.client.create_chat("group", title="Garden", members=[ada.id])).id

    async with wired(urlsplit(stack.url).port or 0) as wire, profile(browser) as context:
        pane = await Pane.opened(context, wire.url, name=ada.username)
        await pane.titled("Garden")
        wire.cut(mended=False)
        await pane.say("too late")
        await bob.client.remove(chat, ada.id)
        wire.mended = True
        await expect(pane.root.get_by_role("alert")).to_contain_text("there is no chat", timeout=WITHIN_S * 1000)
        await expect(pane.box).to_have_value("too late")
        await expect(pane.root.locator(".chats li")).to_have_count(0, timeout=WITHIN_S * 1000)


async def test_the_page_outlives_the_server(own_stack: Callable[..., LocalStack], browser: Browser) -> None:
    """`kill -9` of everything in the middle of a sentence: the sentence is said when it is back, once."""
    stack = own_stack()
    stack.start()

    async with profile(browser) as context, People(stack) as people:
        ada = await people.named("ada")
        pane = await Pane.opened(context, stack.url, name="ada")
        await pane.begin("Garden", kind="room")
        await pane.titled("Garden")
        await pane.say("before")
        await pane.until_shown("before")
        stack.kill_everything()
        await pane.until("Reconnecting…")
        await pane.say("meanwhile")
        await expect(pane.waiting).to_have_text("meanwhileSending…")
        stack.start()
        await pane.until_shown("before", "meanwhile")
        await pane.until("Live")
        chats = (await ada.client.chats()).items

    assert [chat.head_seq for chat in chats] == [2]


async def test_a_new_epoch_is_read_afresh(own_stack: Callable[..., LocalStack], browser: Browser) -> None:
    """R15: the cursor is gone (410), and the page begins again without being told."""
    stack = own_stack()
    stack.start()

    async with profile(browser) as context:
        pane = await Pane.opened(context, stack.url, name="ada")
        await pane.begin("Garden", kind="room")
        await pane.titled("Garden")
        await pane.say("before")
        await pane.until_shown("before")
        stack.stop()
        shutil.rmtree(stack.data / "nats")
        made = stack.petit("doctor", "--new-epoch")
        stack.start()
        await pane.until("Live")
        await pane.say("after")
        await pane.until_shown("before", "after")
        watched = await pane.watched()

    assert made.returncode == 0, made.stderr
    assert watched["hellos"] == [False, False]


async def test_a_token_is_renewed_on_the_stream_that_is_open(
    own_stack: Callable[..., LocalStack], browser: Browser
) -> None:
    stack = own_stack(environment={"PETIT_LOCAL_TOKEN_S": "34"})
    stack.start()

    async with profile(browser) as context:
        pane = await Pane.opened(context, stack.url, name="ada")
        async with pane.page.expect_response("**/v1/streams/*/token", timeout=WITHIN_S * 1000) as renewal:
            cookie = await pane.page.wait_for_event(
                "response", lambda response: response.url.endswith("/v1/tickets"), timeout=WITHIN_S * 1000
            )
        renewed = await renewal.value
        watched = await pane.watched()

    assert (cookie.status, renewed.status) == (204, 200)
    assert watched["made"] == 1
