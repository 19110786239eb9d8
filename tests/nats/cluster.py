"""Three real nats-servers on this machine, with the configuration that production runs (deploy/nats)."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from petit.cli.prctl import die_with_parent
from petit.kit.access import Access
from petit.kit.bootstrap import bootstrap
from petit.kit.connection import Connection, connect
from petit.kit.natsserver import find_binary
from petit.kit.ports import free_ports
from petit.kit.stream import LogConfig

SHIPPED = Path(__file__).parents[2] / "deploy/nats"
USERS = ("gateway", "notifier", "chat", "search", "attachments", "bootstrap", "operator")
_TAIL = 2_000
"""How much of what a node said is shown, characters."""
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Node:
    """One node; it keeps its ports and its data from start to start."""

    def __init__(self, name: str, folder: Path, *, client: int, routes: int, monitor: int) -> None:
        self.name = name
        self.folder = folder / name
        self.client, self.routes, self.monitor = client, routes, monitor
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"nats://127.0.0.1:{self.client}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "log").read_text()

    def prepare(self, *, routes: list[str], tls: Path | None) -> None:
        """Write down its configuration: the shipped one, with ports and folders of this machine."""
        shutil.copytree(SHIPPED, self.folder)
        config = self.folder / "nats.conf"
        text = config.read_text()
        for shipped, ours in (
            ('"0.0.0.0:4222"', f'"127.0.0.1:{self.client}"'),
            ('"0.0.0.0:6222"', f'"127.0.0.1:{self.routes}"'),
            ('"0.0.0.0:8222"', f'"127.0.0.1:{self.monitor}"'),
            ('"/data"', f'"{self.folder}/data"'),
        ):
            assert shipped in text
            text = text.replace(shipped, ours)
        config.write_text(text)
        if tls is not None:
            example = (self.folder / "tls.example.conf").read_text()
            (self.folder / "tls.conf").write_text(example.replace("/etc/nats/tls", str(tls)))
        self._environment = {
            "NATS_NAME": self.name,
            "NATS_ROUTES": json.dumps(routes),
            "NATS_CLUSTER_PASSWORD": "pnodes",
            **{f"NATS_{user.upper()}_PASSWORD": password_of(user) for user in USERS},
        }

    def change_password(self, user: str, password: str) -> None:
        """Give a user another password, from the next start on."""
        self._environment[f"NATS_{user.upper()}_PASSWORD"] = password

    def forbid(self, user: str, subject: str) -> None:
        """Take from a user what it may publish, from the next start on."""
        config = self.folder / "nats.conf"
        before, mine, after = config.read_text().partition(f"user: {user}\n")
        assert f'"{subject}"\n' in after
        config.write_text(before + mine + after.replace(f'"{subject}"\n', "\n", 1))

    def start(self) -> None:
        """Start it; see `Cluster.healthy`."""
        with (self.folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [find_binary(), "-c", self.folder / "nats.conf"],
                env=self._environment,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads here
            )

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep it from doing anything, as a machine that hangs."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if self._process is not None:
                os.kill(self._process.pid, signal.SIGCONT)

    def told(self, what: str) -> dict[str, Any]:
        """Return what its monitoring says."""
        with _HTTP.open(f"http://127.0.0.1:{self.monitor}/{what}", timeout=5) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def ill(self) -> str:
        """Say why it does not serve, or not all that it holds is current; empty if all is well."""
        if self._process is None or self._process.poll() is not None:
            return f"{self.name} does not run; it said {self.log[-_TAIL:]}"
        try:
            with _HTTP.open(f"http://127.0.0.1:{self.monitor}/healthz", timeout=1):
                return ""
        except HTTPError as refusal:
            refusal.close()
            return f"{self.name}: {refusal}; it said {self.log[-_TAIL:]}"
        except OSError as error:
            return f"{self.name}: {error}"


class Cluster:
    """The three of them."""

    def __init__(self, nodes: list[Node], *, ca: Path | None) -> None:
        self.nodes = nodes
        self._ca = ca

    @property
    def url(self) -> str:
        """All of them, with commas."""
        return ",".join(node.url for node in self.nodes)

    def access(self, user: str, *, only: Node | None = None) -> Access:
        """Return what it takes to connect as a user."""
        url = self.url if only is None else only.url
        return Access(url=url, user=user, password=password_of(user), ca=self._ca)

    @asynccontextmanager
    async def connected(self, user: str, *, only: Node | None = None) -> AsyncIterator[Connection]:
        """Connect as a user."""
        async with await connect(self.access(user, only=only), name=f"test-{user}") as nc:
            yield nc

    def named(self, name: str) -> Node:
        """Return a node by its name."""
        return next(node for node in self.nodes if node.name == name)

    async def healthy(self, *, within: float = 30) -> None:
        """Wait until all serve, and are current; fail, and say who is not and why, if they are not in time."""
        deadline = time.monotonic() + within
        for node in self.nodes:
            while why := await asyncio.to_thread(node.ill):
                assert time.monotonic() < deadline, why
                await asyncio.sleep(0.05)

    async def bootstrap(self, *, replicas: int = 3) -> None:
        """Make streams and buckets, as the job does."""
        async with self.connected("bootstrap") as nc:
            await bootstrap(nc, config=LogConfig(replicas=replicas), within=30, say=print)

    async def leader(self, stream: str = "SIGNALS") -> Node:
        """Return the node that leads a stream now."""
        async with self.connected("operator") as nc:
            answer = json.loads(await nc.replies.insist(f"$JS.API.STREAM.INFO.{stream}", within=10))
        return self.named(answer["cluster"]["leader"])

    async def maker(self) -> Node:
        """Return the node that leads JetStream as a whole, and so makes streams and consumers."""
        told = await asyncio.to_thread(self.nodes[0].told, "jsz")
        return self.named(told["meta_cluster"]["leader"])

    async def lead(self, stream: str, *, by: Node) -> None:
        """Have a node lead a stream."""
        request = json.dumps({"placement": {"preferred": by.name}}).encode()
        async with asyncio.timeout(30), self.connected("operator") as nc:
            while await self.leader(stream) is not by:
                await nc.replies.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}", request, within=5)
                await asyncio.sleep(0.2)


def password_of(user: str) -> str:
    """Return a user's password: another one for each."""
    return f"p{user}"


@asynccontextmanager
async def cluster(folder: Path, *, tls: Path | None = None, ca: Path | None = None) -> AsyncIterator[Cluster]:
    """Run three nodes, empty, for as long as the context lasts.

    Args:
        folder: Where they keep everything.
        tls: Folder with `tls.crt`, `tls.key` and `ca.crt`; None: no TLS.
        ca: Whom clients trust.
    """
    ports = iter(free_ports(9))
    nodes = [
        Node(f"nats-{number}", folder, client=next(ports), routes=next(ports), monitor=next(ports))
        for number in range(3)
    ]
    routes = [f"nats://cluster:pnodes@127.0.0.1:{node.routes}" for node in nodes]
    for node in nodes:
        node.prepare(routes=routes, tls=tls)
    made = Cluster(nodes, ca=ca)
    try:
        for node in nodes:
            node.start()
        await made.healthy()
        yield made
    finally:
        for node in nodes:
            node.kill()
