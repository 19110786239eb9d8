"""`docker compose up` as in docs/operations/compose.md: everything gets healthy, the doctor is content, people talk."""

import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import pytest

from petit.kit.ports import free_port
from tests.e2e.browser import Pane, chromium, profile
from tests.e2e.waiting import until
from tests.real.engine import ok, require_engine, untimed

pytestmark = pytest.mark.real

ROOT: Final = Path(__file__).parents[2]
_UP_S: Final = 300.0
_PASSWORD: Final = "correct horse battery staple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """One project of compose, with secrets of its own."""

    words: tuple[str, ...]
    url: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command of it, and return how it ended and what it printed."""
        return subprocess.run(
            [*self.words, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=_UP_S, check=False
        )


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Everything that compose.yaml describes, on a port of its own."""
    require_engine()
    folder, port = tmp_path_factory.mktemp("compose"), free_port()
    url = f"http://127.0.0.1:{port}"
    script = folder / "deploy/docker/secrets"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/docker/secrets", script)
    subprocess.run(["sh", script, "--local", url], check=True)
    with (folder / ".env").open("a") as settings:
        settings.write(f"PETIT_LISTEN=127.0.0.1:{port}\n")
    project = f"petit-test-{os.getpid()}"
    made = Compose(words=(*_command(), "--env-file", str(folder / ".env"), "--project-name", project), url=url)
    try:
        with untimed():
            started = made.run("up", "--detach")
            assert started.returncode == 0, started.stderr
            until(lambda: ok(f"{url}/readyz") and ok(f"{url}/realms/petit"), within_s=_UP_S, what="all is ready")
        yield made
    finally:
        (folder / "logs").write_text(made.run("logs", "--no-color").stdout)
        made.run("down", "--volumes", "--timeout", "2")


@pytest.mark.timeout(180)
def test_the_doctor_finds_nothing(compose: Compose) -> None:
    said = compose.run("run", "--rm", "doctor")

    assert said.returncode == 0, said.stdout + said.stderr
    assert "ok " in said.stdout


@pytest.mark.timeout(180)
def test_two_people_sign_up_log_in_and_talk_and_no_more_than_that_is_public(compose: Compose) -> None:
    with _plain(compose.url) as http:
        ada, bob = _entered(http), _entered(http)
        them = http.get("/v1/me", headers=bob).json()["id"]
        chat = http.post("/v1/chats", json={"kind": "dm", "members": [them]}, headers=ada).json()["id"]
        sent = http.post(f"/v1/chats/{chat}/messages", json={"text": "hello", "nonce": "1"}, headers=ada)
        read = http.get(f"/v1/chats/{chat}/messages", params={"min_offset": sent.json()["offset"]}, headers=bob)
        hidden = [http.get(path).status_code for path in ("/admin/", "/metrics", "/backchannel-logout")]

    assert sent.status_code == 201, sent.text
    assert [message["text"] for message in read.json()["items"]] == ["hello"]
    assert hidden == [404, 404, 404]


@pytest.mark.browser
@pytest.mark.timeout(240)
async def test_two_people_log_in_on_keycloaks_own_page_and_chat_in_their_browsers(compose: Compose) -> None:
    names = await asyncio.to_thread(_strangers, compose.url, 2)
    lines = ["Hello Bob", "Hello Ada", "Is it raining?"]
    async with chromium() as browser, profile(browser) as adas, profile(browser) as bobs:
        ada, bob = [
            await Pane.opened(context, compose.url, name=name, password=_PASSWORD)
            for context, name in zip((adas, bobs), names, strict=True)
        ]
        await ada.begin(names[1], kind="person")
        await ada.titled(names[1])
        for number, line in enumerate(lines):
            await (ada, bob)[number % 2].say(line)
            for pane in (ada, bob):
                await pane.until_shown(*lines[: number + 1])


def _strangers(url: str, count: int) -> list[str]:
    """Sign up people, and return their names."""
    with _plain(url) as http:
        return [_signed_up(http) for _ in range(count)]


def _plain(url: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, trust_env=False, timeout=60)


def _signed_up(http: httpx2.Client) -> str:
    """Sign somebody up, and return the name."""
    name = f"p{secrets.token_hex(8)}"
    made = _posted(http, "/signup", name, within_s=90)
    assert made.status_code in {201, 409}, made.text  # 409: an earlier try was done after all
    return name


def _entered(http: httpx2.Client) -> dict[str, str]:
    """Sign somebody up and log them in, and return the headers of their requests."""
    grant = _posted(http, "/login", _signed_up(http), within_s=60)
    assert grant.status_code == 200, grant.text
    return {"Authorization": f"Bearer {grant.json()['access_token']}"}


def _posted(http: httpx2.Client, path: str, name: str, *, within_s: float) -> httpx2.Response:
    """Post a name and the password as patiently as an app: a Keycloak that has just started may take too long."""

    def posted() -> list[httpx2.Response]:
        answer = http.post(path, json={"username": name, "password": _PASSWORD})
        return [] if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE else [answer]

    [answer] = until(posted, within_s=within_s, what=f"{path} answers {name}")
    return answer


def _command() -> tuple[str, ...]:
    """Return the words for Compose 2 where the client has it, else for docker-compose 1.29."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",)
