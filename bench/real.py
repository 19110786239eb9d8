"""Measure the real stack's sends beside the embedded stack's, in one run, on one machine.

    .venv/bin/python bench/real.py --cassandra HOST:PORT [--nodes 1|3] [--seconds S] [--rounds N]

Both are up at once, and take turns under `petit load --mode sends`; what is compared is the ratio of their accepted
sends a second. The real one: gateway, notifier and chat as processes of their own, the read model in Cassandra, and
either one NATS node that flushes every second (as the embedded stack has it) or three that flush every write before
it is acknowledged, with deploy/nats/nats.conf. People come from the embedded stack's issuer, because log-ins are not
what is measured. With three nodes the bare publishing of the same cluster is measured too, as the floor.
"""
# ruff: noqa: INP001, T201 - a script, and its figures are for whoever runs it

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from petit.contracts.ids import ChatId
from petit.contracts.subjects import chat_signal
from petit.kit.access import Access
from petit.kit.connection import connect
from petit.kit.log import Log
from petit.kit.natsserver import NatsConfig, NatsServer
from petit.kit.ports import free_port, free_ports
from tests.nats.cluster import cluster

_WITHIN_S: Final = 120.0
_AT_ONCE: Final = 256
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sends:
    """What one turn of the load found."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """CPU of all processes of the server, for each accepted send."""
    lag_s: float
    """From the last acknowledgement until history had everything."""

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.per_second:,.0f} accepted/s, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, "
            f"{self.cpu_us:.0f} us of CPU each, caught up after {self.lag_s:.1f} s"
        )


def load(url: str, *, seconds: float, **options: str) -> Sends:
    """Send as fast as the window allows."""
    words = [f"--{name}={value}" for name, value in options.items()]
    scene = ["--mode=sends", "--rooms=200", "--members=2", "--senders=1", "--rate=max", "--no-floor"]
    done = subprocess.run(
        [sys.executable, "-m", "petit.cli", "load", f"--url={url}", f"--seconds={seconds}", *scene, "--json", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"petit load ended with {done.returncode}: {done.stderr[-2_000:]}{done.stdout[-2_000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    step = result["steps"][0]
    if result["violations"]:
        raise SystemExit(f"no score: {result['violations'][:5]}")
    return Sends(
        per_second=step["accepted"] / step["seconds"],
        p50_ms=step["accept"]["p50"],
        p99_ms=step["accept"]["p99"],
        cpu_us=sum(step["cpu_s"].values()) / step["accepted"] * 1e6,
        lag_s=result["folding"]["seconds"],
    )


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[str, str]]:
    """Run `petit up`; gives its URL and the secret of its issuer's client."""
    port = free_port()
    environment = {**os.environ, "PETIT_LOCAL_LOGINS_PER_S": "5000", "PETIT_LOCAL_TOKEN_S": "3600"}
    with process("petit.cli", "up", f"--port={port}", f"--data={folder}", environment=environment):
        when_ready(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}", (folder / "issuer" / "gateway.secret").read_text().strip()


@asynccontextmanager
async def log_servers(folder: Path, *, nodes: int) -> AsyncIterator[tuple[dict[str, Access], dict[str, int]]]:
    """Run the log; gives how each user comes to it, and the servers' process ids."""
    users = ("bootstrap", "gateway", "notifier", "chat")
    if nodes == 1:
        async with NatsServer(NatsConfig(store=folder)) as server:
            access = Access(url=server.url, token=server.token)
            yield dict.fromkeys(users, access), {"nats": server.pid}
    else:
        async with cluster(folder) as made:
            yield {user: made.access(user) for user in users}, {node.name: node.pid for node in made.nodes}


@contextmanager
def services(
    accesses: Mapping[str, Access], *, issuer: str, secret: str, cassandra: str, replicas: int
) -> Iterator[tuple[str, dict[str, int]]]:
    """Run one of each service; gives the gateway's URL and the processes' ids."""
    host, _, port = cassandra.rpartition(":")
    keyspace = f"bench_{secrets.token_hex(4)}"
    store = {"CQL_HOSTS": host, "CQL_PORT": port, "CQL_KEYSPACE": keyspace}
    realm = {"ISSUER": f"{issuer}/realms/petit"}
    admin = {"ADMIN_URL": f"{issuer}/admin/realms/petit", "DIRECTORY_SECRET": secret}
    ports = dict(zip(("gateway", "notifier", "chat"), free_ports(3), strict=True))

    def settings(service: str, **more: str) -> dict[str, str]:
        access = accesses[service]
        nats = {"NATS_URL": access.url}
        if access.token is not None:
            nats["NATS_TOKEN"] = access.token
        else:
            nats |= {"NATS_USER": access.user or "", "NATS_PASSWORD": access.password or ""}
        return {**os.environ, **{f"PETIT_{service.upper()}_{name}": value for name, value in {**nats, **more}.items()}}

    made = subprocess.run(
        [sys.executable, "-m", "petit.cli", "bootstrap"],
        env=settings("bootstrap", REPLICAS=str(replicas), **store),
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise SystemExit(f"petit bootstrap: {made.stdout}{made.stderr}")
    environments = {
        "chat": settings("chat", PORT=str(ports["chat"]), **store),
        "notifier": settings("notifier", PORT=str(ports["notifier"]), **realm),
        "gateway": settings("gateway", PORT=str(ports["gateway"]), **realm, **admin),
    }
    with contextlib.ExitStack() as running:
        pids = {
            service: running.enter_context(process(f"petit.{service}", environment=environment))
            for service, environment in environments.items()
        }
        for port_of in ports.values():
            when_ready(f"http://127.0.0.1:{port_of}")
        yield f"http://127.0.0.1:{ports['gateway']}", pids


@contextmanager
def process(module: str, *arguments: str, environment: Mapping[str, str]) -> Iterator[int]:
    """Run a module for as long as the context lasts; gives its process id."""
    running = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield running.pid
    finally:
        running.terminate()
        running.wait(30)


def when_ready(url: str) -> None:
    """Wait until a service is ready."""
    deadline = time.monotonic() + _WITHIN_S
    while True:
        with contextlib.suppress(urllib.error.URLError, OSError), _DIRECT.open(f"{url}/readyz", timeout=5):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"{url} is not ready after {_WITHIN_S:.0f} s")
        time.sleep(0.1)


async def publishing(access: Access, *, seconds: float) -> float:
    """Return how many entries of a send's size the log takes a second, with nothing around it."""
    subject, payload = chat_signal(ChatId(str(uuid.uuid4())), "view"), b"x" * 500
    async with await connect(access, name="bench-floor") as nc:
        log, stored, begun = Log(nc), 0, time.monotonic()

        async def publish() -> None:
            nonlocal stored
            while time.monotonic() - begun < seconds:
                await log.append(subject, payload, msg_id=secrets.token_hex(16))
                stored += 1

        await asyncio.gather(*(publish() for _ in range(_AT_ONCE)))
        return stored / (time.monotonic() - begun)


async def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cassandra", required=True, metavar="HOST:PORT")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, embedded(Path(folder) / "embedded") as (ours, secret):
        async with log_servers(Path(folder) / "nats", nodes=given.nodes) as (accesses, log_pids):
            with services(accesses, issuer=ours, secret=secret, cassandra=given.cassandra, replicas=given.nodes) as (
                url,
                pids,
            ):
                named = ",".join(f"{name}={pid}" for name, pid in {**pids, **log_pids}.items())
                ratios = []
                for number in range(given.rounds):
                    here = await asyncio.to_thread(
                        load, ours, seconds=given.seconds, data=str(Path(folder) / "embedded")
                    )
                    there = await asyncio.to_thread(
                        load, url, seconds=given.seconds, stack="real", issuer=ours, secret=secret, pids=named
                    )
                    ratios.append(there.per_second / here.per_second)
                    print(f"round {number + 1}: embedded {here}")
                    print(f"         real     {there}: {ratios[-1]:.0%}", flush=True)
                print(f"{given.nodes} NATS nodes: median {sorted(ratios)[len(ratios) // 2]:.0%} of the embedded stack")
            if given.nodes == 3:  # noqa: PLR2004 - the cluster
                floor = await publishing(accesses["gateway"], seconds=given.seconds)
                print(f"bare publishing to the same cluster, {_AT_ONCE} at once: {floor:,.0f}/s")


asyncio.run(main())
