"""The page as a browser gets it: which files, under which policy, and that they come from here alone."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx2
import pytest

from petit.cli import page as package
from petit.cli.page import page

STATIC: Final = Path(package.__file__).parent / "static"
PATHS: Final = ["/", *(f"/page/{file.name}" for file in sorted(STATIC.iterdir()) if file.name != "index.html")]


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(page()), base_url="http://127.0.0.1:8080") as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
async def test_every_file_is_served_with_its_type_and_under_the_policy(browser: httpx2.AsyncClient, path: str) -> None:
    answer = await browser.get(path)

    types = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "/": "text/html"}
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == types[path.rpartition(".")[2]]
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"


async def test_it_may_ask_an_issuer_at_another_origin_and_nobody_else() -> None:
    app = page(issuer="https://sso.test")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as client:
        policy = (await client.get("/")).headers["content-security-policy"]

    assert "; connect-src 'self' https://sso.test; " in policy
    assert policy.count("https:") == 1


async def test_the_page_is_whole_whatever_is_asked_of_it(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/?as=ada")

    assert answer.content == (STATIC / "index.html").read_bytes()


async def test_all_that_the_page_names_is_served(browser: httpx2.AsyncClient) -> None:
    html = (await browser.get("/")).text
    scripts = "".join(file.read_text() for file in STATIC.glob("*.js"))

    named = re.findall(r'(?:src|href)="(/page/[^"]+)"', html)
    imported = [f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', scripts)]

    assert {*named, *imported} == {*PATHS} - {"/"}


def test_nothing_comes_from_elsewhere_and_nothing_is_inline() -> None:
    text = "".join(file.read_text() for file in STATIC.iterdir())
    html = (STATIC / "index.html").read_text()

    assert {*re.findall(r"https?://[^\s\"')]+", text)} <= {"http://www.w3.org/2000/svg"}
    assert "<style" not in html
    assert re.findall(r"<script(?![^>]* src=)|\son\w+=|style=", html) == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text) == []


async def test_a_browser_that_has_it_is_told_so(browser: httpx2.AsyncClient) -> None:
    first = await browser.get("/")
    etag = first.headers["etag"]

    known = [await browser.get("/", headers={"if-none-match": value}) for value in (etag, f'"other", W/{etag}', "*")]
    changed = await browser.get("/", headers={"if-none-match": '"other"'})

    assert first.headers["cache-control"] == "no-cache"
    assert [answer.status_code for answer in known] == [304, 304, 304]
    assert [answer.content for answer in known] == [b"", b"", b""]
    assert changed.status_code == 200


async def test_head_is_get_without_the_body(browser: httpx2.AsyncClient) -> None:
    get, head = await browser.get("/page/page.css"), await browser.head("/page/page.css")

    assert head.content == b""
    assert head.headers == get.headers


async def test_what_is_not_there_is_not_found(browser: httpx2.AsyncClient) -> None:
    paths = ("/page/", "/page", "/index.html", "/page/index.html", "/page/../app.py", "/page/%2e%2e/app.py")

    assert [(await browser.get(path)).status_code for path in paths] == [404] * len(paths)


async def test_the_page_is_only_read(browser: httpx2.AsyncClient) -> None:
    answer = await browser.post("/", content=b"x")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_the_page_is_no_socket() -> None:
    async def nothing(*_: object) -> dict[str, object]:
        raise AssertionError("nothing is read or sent")

    with pytest.raises(RuntimeError, match="websocket"):
        await page()({"type": "websocket"}, nothing, nothing)  # type: ignore[arg-type]  # never called
