"""The proxy alone: whom it believes when somebody says where a request comes from, and whom the page may ask."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.real.engine import Box, Net, Recipe

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

ROOT: Final = Path(__file__).parents[2]
PROXY: Final = ROOT / "deploy/docker/proxy"
PAGE: Final = ROOT / "cli/src/petit/cli/page/static"
INGRESS: Final = "127.0.0.2"
"""Stands before the proxy, and is trusted; 127.0.0.1 is anybody else."""
ASKED: Final = """
import http.client, http.server, json, os, sys, threading, time

class Gateway(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.headers.get_all("X-Forwarded-For")).encode())

    def log_message(self, *_):
        pass

def ask(source, *said):
    link = http.client.HTTPConnection("127.0.0.1", 8080, timeout=5, source_address=(source, 0))
    link.putrequest("GET", "/v1/me")
    for one in said:
        link.putheader("X-Forwarded-For", one)
    link.endheaders()
    answer = link.getresponse()
    return json.loads(answer.read()) if answer.status == 200 else None

server = http.server.ThreadingHTTPServer(("127.0.0.1", 9000), Gateway)
server.handle_error = lambda *_: None  # the proxy is done with a check as soon as it has seen the status
threading.Thread(target=server.serve_forever, daemon=True).start()
until = time.monotonic() + 30
while time.monotonic() < until:
    try:
        if ask("127.0.0.1") is not None:
            break
    except OSError:
        pass
    time.sleep(0.1)
print(json.dumps(ask(*sys.argv[1:])), flush=True)
os._exit(0)  # the server's threads need not be waited for
"""
"""A gateway, and one request by the proxy from an address, with what is said of where it comes from."""


POLICY: Final = """
import time, urllib.request
until = time.monotonic() + 30
while True:
    try:
        print(urllib.request.urlopen("http://127.0.0.1:8080/").headers["Content-Security-Policy"])
        break
    except OSError:
        assert time.monotonic() < until
        time.sleep(0.1)
"""
"""Under which policy the page is served."""


FULL: Final = """
import socket, time, urllib.request
until = time.monotonic() + 30
while True:
    try:
        held = [socket.create_connection(("127.0.0.1", 8080), 2) for _ in range(2)]
        break
    except OSError:
        assert time.monotonic() < until
        time.sleep(0.1)
def page(link):
    link.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    try:
        return link.recv(4096)[9:12].decode()
    except TimeoutError:
        return "waits"
third = socket.create_connection(("127.0.0.1", 8080), 2)
print(*map(page, held), page(third), urllib.request.urlopen("http://127.0.0.1:8090/healthz", timeout=2).status)
"""
"""Two connections and one too many, and whether the proxy still says that it lives."""


@pytest.fixture
def net() -> Iterator[Net]:
    with Net() as made:
        yield made


def told(net: Net, source: str, *said: str, trusted: str) -> list[str]:
    """Return what a gateway is told of where a request comes from.

    Args:
        net: Where the proxy is started.
        source: Who asks the proxy.
        said: What they say in `X-Forwarded-For`, a header each.
        trusted: `PETIT_PROXY_TRUSTED`.
    """
    box = net.boxes.get("proxy") or net.box("proxy", _recipe(PETIT_PROXY_TRUSTED=trusted))
    found: list[str] = json.loads(_run(box, ASKED, source, *said))
    return found


def _run(box: Box, script: str, *arguments: str) -> str:
    box.ensure()
    code, printed = box.run("python3", "-I", "-S", "-c", script, *arguments)
    assert code == 0, printed
    return printed


def _recipe(files: Mapping[str, Path] | None = None, **env: str) -> Recipe:
    ours = {"/etc/petit/haproxy.cfg": PROXY / "haproxy.cfg", "/petit/start": PROXY / "start"}
    return Recipe(
        image="petit/proxy:dev",
        command=["sh", "/petit/start"],
        env=env | {"PETIT_PROXY_GATEWAY": "127.0.0.1:9000"},
        files=ours | dict(files or {}),
    )


def test_who_stands_before_the_proxy_is_believed_and_nobody_else(net: Net) -> None:
    trusted = f"{INGRESS},10.1.0.0/16"

    assert told(net, INGRESS, "203.0.113.9", trusted=trusted) == ["203.0.113.9"]
    assert told(net, INGRESS, "6.6.6.6, 203.0.113.9", trusted=trusted) == ["203.0.113.9"]
    assert told(net, INGRESS, "6.6.6.6", "203.0.113.9", trusted=trusted) == ["203.0.113.9"]
    assert told(net, INGRESS, "6.6.6.6, 203.0.113.9, 10.1.2.3", trusted=trusted) == ["203.0.113.9"]
    assert told(net, INGRESS, "2001:db8::7", trusted=trusted) == ["2001:db8::7"]
    assert told(net, INGRESS, "6.6.6.6, nonsense", trusted=trusted) == [INGRESS]
    assert told(net, INGRESS, trusted=trusted) == [INGRESS]
    assert told(net, "127.0.0.1", "203.0.113.9", trusted=trusted) == ["127.0.0.1"]


def test_nobody_is_believed_where_nobody_stands_before_it(net: Net) -> None:
    assert told(net, INGRESS, "203.0.113.9", trusted="") == [INGRESS]


@pytest.mark.parametrize(
    ("issuer", "asked"),
    [
        ("", "'self'"),
        ("https://sso.example.org/realms/petit", "'self' https://sso.example.org"),
        ("http://sso.test:8443/realms/petit", "'self' http://sso.test:8443"),
    ],
)
def test_the_page_may_ask_the_issuer_and_nobody_else(net: Net, tmp_path: Path, *, issuer: str, asked: str) -> None:
    made = subprocess.run(["sh", PROXY / "page", PAGE], capture_output=True, text=True, check=True).stdout
    (tmp_path / "page.cfg").write_text(made.replace(str(PAGE), "/usr/share/petit/page"))
    files = {"/etc/petit/page.cfg": tmp_path / "page.cfg"}

    policy = _run(net.box("proxy", _recipe(files, PETIT_PROXY_ISSUER=issuer)), POLICY)

    assert f"; connect-src {asked}; " in policy


def test_one_that_is_full_lets_the_next_wait_and_still_says_that_it_lives(net: Net) -> None:
    box = net.box("proxy", _recipe(PETIT_PROXY_CONNECTIONS="2"))

    assert _run(box, FULL).split() == ["200", "200", "waits", "200"]
