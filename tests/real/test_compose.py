"""`docker compose up` as in docs/operations/compose.md: everything gets healthy, the doctor is content, people talk."""

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

from tests.e2e.waiting import until
from tests.real.engine import free_port, ok, require_engine, untimed

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
    with httpx2.Client(base_url=compose.url, trust_env=False, timeout=60) as http:
        names = [f"p{secrets.token_hex(8)}" for _ in range(2)]
        ada, bob = (_entered(http, name) for name in names)
        them = http.get("/v1/me", headers=bob).json()["id"]
        chat = http.post("/v1/chats", json={"kind": "dm", "members": [them]}, headers=ada).json()["id"]
        sent = http.post(f"/v1/chats/{chat}/messages", json={"text": "hello", "nonce": "1"}, headers=ada)
        read = http.get(f"/v1/chats/{chat}/messages", params={"min_offset": sent.json()["offset"]}, headers=bob)
        hidden = [http.get(path).status_code for path in ("/admin/", "/metrics", "/backchannel-logout")]

    assert sent.status_code == 201, sent.text
    assert [message["text"] for message in read.json()["items"]] == ["hello"]
    assert hidden == [404, 404, 404]


def _entered(http: httpx2.Client, name: str) -> dict[str, str]:
    """Sign up and log in, as patiently as an app: a Keycloak that has just started may take too long at first."""

    def posted(path: str) -> list[httpx2.Response]:
        answer = http.post(path, json={"username": name, "password": _PASSWORD})
        return [] if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE else [answer]

    [made] = until(lambda: posted("/signup"), within_s=90, what=f"{name} has signed up")
    assert made.status_code in {201, 409}, made.text  # 409: an earlier try was done after all
    [grant] = until(lambda: posted("/login"), within_s=60, what=f"{name} has logged in")
    assert grant.status_code == 200, grant.text
    return {"Authorization": f"Bearer {grant.json()['access_token']}"}


def _command() -> tuple[str, ...]:
    """Return the words for Compose 2 where the client has it, else for docker-compose 1.29."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",)
