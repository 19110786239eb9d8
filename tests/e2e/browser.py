"""A real Chromium, and the page in it as somebody sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright, expect

from tests.e2e.waiting import eventually

_CHROMIUM: Final = "/usr/bin/chromium"
_FLAGS: Final = (
    "--no-sandbox",  # CI is root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # What Chromium asks of its maker's hosts has no place in a test.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WITHIN_S: Final = 20.0
"""How long something may take to be seen on a busy machine."""
WATCHED: Final = """
window.watched = {made: 0, hellos: [], offsets: []};
window.EventSource = class extends EventSource {
  constructor(...given) {
    super(...given);
    window.watched.made += 1;
    this.addEventListener("hello", ({ data }) => window.watched.hellos.push(JSON.parse(data).resumed));
    this.addEventListener("signal", ({ data }) => window.watched.offsets.push(JSON.parse(data).offset));
  }
};
"""
"""Notes what comes by EventSource, before the page makes anything of it; changes nothing of what it does."""


class Pane:
    """One person's part of the page."""

    def __init__(self, page: Page, root: Locator) -> None:
        self.page = page
        self.root = root
        self.box = root.get_by_role("textbox", name="Message")
        self.rows = root.locator(".messages li")
        self.waiting = root.locator(".pending li")
        """What was composed here and has not come back by the stream."""

    @classmethod
    async def opened(cls, context: BrowserContext, url: str, *, name: str, password: str = "") -> Self:
        """Open the page as one person, and log in."""
        page = await context.new_page()
        await page.goto(f"{url}/?as={name}")
        pane = cls(page, page.get_by_role("region", name=name))
        await pane.log_in(password)
        return pane

    async def log_in(self, secret: str = "") -> None:
        """Go to the issuer's page, whose form is Keycloak's, and come back; the name is the password, unless given."""
        name = await self.root.get_attribute("aria-label") or ""
        await self.root.get_by_role("button", name="Log in").click()
        username, password = self.page.locator("#username"), self.page.locator("#password")
        await username.fill(name)
        await password.fill(secret or name)
        await self.page.locator("#kc-login").click()
        await self.until("Live")

    async def until(self, state: str) -> None:
        """Wait for the state of the connection."""
        await expect(self.root.get_by_role("status")).to_have_text(state, timeout=WITHIN_S * 1000)

    async def begin(self, name: str, *, kind: str) -> None:
        """Begin a chat by the form: `person` with a username, `room` with a title."""
        await self.root.get_by_label("New chat").fill(name)
        await self.root.locator(f".start button[value={kind}]").click()

    async def show(self, title: str) -> None:
        """Open a chat from the list."""
        await self.root.get_by_role("navigation").get_by_role("button", name=title).click()
        await self.titled(title)

    async def titled(self, title: str) -> None:
        """Wait until a chat of this title is open."""
        await expect(self.root.get_by_role("heading", level=3)).to_have_text(title, timeout=WITHIN_S * 1000)

    async def say(self, text: str) -> None:
        """Write a message and press Enter."""
        await self.box.fill(text)
        await self.box.press("Enter")

    async def shown(self) -> list[dict[str, Any]]:
        """Return the messages that are shown, from top to bottom: `id`, `seq`, `offset`, `text`."""
        rows: list[dict[str, Any]] = await self.rows.evaluate_all(
            "rows => rows.map(({ dataset: { id, seq, offset }, children }) =>"
            " ({ id, seq: Number(seq), offset: Number(offset), text: children[1].textContent }))"
        )
        return rows

    async def until_shown(self, *texts: str) -> None:
        """Wait until exactly these messages are shown, in this order."""

        async def same() -> bool:
            return [row["text"] for row in await self.shown()] == list(texts)

        await eventually(same, within_s=WITHIN_S, what=f"{texts} are shown")

    async def watched(self) -> dict[str, Any]:
        """Return what `WATCHED` noted."""
        noted: dict[str, Any] = await self.page.evaluate("window.watched")
        return noted


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a Chromium until the block ends."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, headless=True, args=list(_FLAGS))
        yield browser
        await browser.close()


@asynccontextmanager
async def profile(browser: Browser, **options: Any) -> AsyncIterator[BrowserContext]:  # noqa: ANN401 - Playwright's own
    """Open a new profile, whose pages must neither crash nor break their own policy."""
    context = await browser.new_context(**options)
    errors: list[str] = []
    context.on("weberror", lambda event: errors.append(str(event.error)))
    context.on("console", lambda said: errors.append(said.text) if "Security Policy" in said.text else None)
    await context.add_init_script(WATCHED)
    yield context
    await context.close()
    assert errors == []
