"""Measure the gateway's send: accepted messages a second, latency, and CPU of each process per message.

    .venv/bin/python bench/gateway.py [--sends N] [--connections N] [--profile]

Real: nats-server, `kit.log`, `kit.feed`, `kit.mirror`, token verification, uvicorn, the whole gateway. Stood in
for: chat (its answer to a seed; nothing else is asked on this path). The generator is a process of its own and
speaks HTTP/1.1 over raw sockets, one request at a time on each connection.
"""
# ruff: noqa: D102, INP001, S101, T201 - a script, and its figures are for whoever runs it

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import os
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Final

import uvloop

from kit.tests.auth.minting import Clock as TestClock
from kit.tests.auth.minting import MemoryIssuer
from petit.contracts.ids import ChatId, Offset, Timestamp, UserId
from petit.contracts.rpc import Do, DoBatch, Seed, SeedMember
from petit.gateway.app import Gateway, Options, gateway, over_nats
from petit.kit.access import Access
from petit.kit.auth import Verifier
from petit.kit.clock import SystemClock
from petit.kit.connection import connect
from petit.kit.feed import Feed
from petit.kit.ids import Uuid7Maker
from petit.kit.log import Entry, Log
from petit.kit.mirror import Mirror
from petit.kit.natsserver import NatsConfig, NatsServer
from petit.kit.serving import listen, serving
from services.gateway.tests.issuing import issuing
from services.gateway.tests.memory import MemoryDirectory

CHATS: Final = 500
PEOPLE: Final = [UserId(f"person-{number}") for number in range(4)]
TEXT: Final = "x" * 200
BATCH: Final = 64
BATCHES: Final = 150
TICKS: Final = os.sysconf("SC_CLK_TCK")


class Seeds:
    """Every chat has the same four members."""

    async def seed(self, chat: ChatId, *, min_offset: Offset) -> Seed:
        members = tuple(
            SeedMember(user=user, role="member", joined_offset=Offset(1), joined_at=Timestamp("")) for user in PEOPLE
        )
        return Seed(chat=chat, offset=min_offset, kind="group", members=members)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def chat_ids() -> list[ChatId]:
    """Return the chats' ids, the same in every process."""
    return [ChatId(f"019353a0-0000-7000-8000-{number:012x}") for number in range(CHATS)]


async def serve(url: str, token: str, *, pipe: Pipe, tokens: list[bytes], verifier: Verifier, profile: bool) -> None:
    """Run the gateway until the pipe says stop."""
    clock = SystemClock()
    async with await connect(Access(url=url, token=token), name="bench") as nc:
        log = Log(nc)
        await log.bootstrap()
        told: list[Callable[[Entry], object]] = []

        def deliver(entry: Entry) -> None:
            for listener in told:
                listener(entry)

        feed = Feed(nc, deliver=deliver, after=None)
        mirror = Mirror(Seeds(), position=lambda: feed.position)
        ports = over_nats(
            nc, log=log, feed=feed, mirror=mirror, tokens=verifier, issuer=issuing(MemoryDirectory()), clock=clock
        )
        edge = gateway(ports, options=Options(writes_per_s=1_000_000))
        told += [mirror.on_entry, edge.on_entry]
        reading = asyncio.create_task(feed.run())
        await feed.started()
        for bearer in tokens:
            await verifier.verify(bearer)
        sock = listen("127.0.0.1", port=0)
        loop = asyncio.get_running_loop()
        async with edge.running(), serving(edge.asgi, sock=sock) as port:
            pipe.send(port)
            profiler = cProfile.Profile() if profile else None
            if profiler:
                profiler.enable()
            while (word := await loop.run_in_executor(None, pipe.recv)) == "do":
                await do(edge, pipe)
            assert word == "stop"
            if profiler:
                profiler.disable()
                pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
        reading.cancel()


async def do(edge: Gateway, pipe: Pipe) -> None:
    """Measure batches of WebSocket writes, without NATS between notifier and gateway."""
    make, chats = Uuid7Maker(SystemClock()), chat_ids()
    items = [
        Do(
            user=PEOPLE[n % 4],
            do="send",
            text=json.dumps({"do": "send", "ref": str(n), "chat": chats[n % CHATS], "id": str(make()), "text": TEXT}),
        )
        for n in range(BATCH * BATCHES)
    ]
    batches = [
        DoBatch(items=tuple(items[n : n + BATCH])).model_dump_json().encode() for n in range(0, len(items), BATCH)
    ]
    before, started = time.process_time(), time.perf_counter()
    for batch in batches:
        done = await edge.do(batch)
        assert done.count(b'"status":201') == BATCH
    took = time.perf_counter() - started
    pipe.send((len(items) / took, (time.process_time() - before) / len(items) * 1e6))


def gateway_process(url: str, token: str, pipe: Pipe, *, profile: bool) -> None:
    """Run the gateway's process."""
    clock = TestClock()
    clock.time = time.time()
    issuer = MemoryIssuer(clock)
    tokens = [issuer.mint(sub=user, exp=int(time.time()) + 3600) for user in PEOPLE]
    pipe.send(tokens)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(url, token, pipe=pipe, tokens=tokens, verifier=issuer.verifier(), profile=profile))


class Sender(asyncio.Protocol):
    """One connection that sends the next request as soon as the last one was answered."""

    def __init__(self, next_request: Callable[[], bytes | None], done: asyncio.Future[None]) -> None:
        self.latencies: list[float] = []
        self.failures: list[bytes] = []
        self._next, self._done, self._at = next_request, done, 0.0
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            return
        data, self._heard = self._heard, b""
        self.latencies.append(time.perf_counter() - self._at)
        if not data.startswith(b"HTTP/1.1 201"):
            self.failures.append(data)
        self._send()

    def _send(self) -> None:
        request = self._next()
        if request is None:
            self._transport.close()
            self._done.set_result(None)
            return
        self._at = time.perf_counter()
        self._transport.write(request)


def _same(sender: Sender) -> Sender:
    return sender


async def generate(port: int, tokens: list[bytes], *, sends: int, connections: int) -> dict[str, float]:
    """Send and measure."""
    make, chats = Uuid7Maker(SystemClock()), chat_ids()
    left = sends

    def next_request() -> bytes | None:
        nonlocal left
        if left <= 0:
            return None
        left -= 1
        body = b'{"id":"%s","text":"%s"}' % (str(make()).encode(), TEXT.encode())
        return (
            b"POST /v1/chats/%s/messages HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer %s\r\n"
            b"content-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\ncontent-length: %d\r\n\r\n%s"
        ) % (chats[left % CHATS].encode(), tokens[left % 4], len(body), body)

    loop = asyncio.get_running_loop()
    senders, futures = [], []
    started = time.perf_counter()
    for _ in range(connections):
        future = loop.create_future()
        sender = Sender(next_request, future)
        await loop.create_connection(partial(_same, sender), "127.0.0.1", port)
        senders.append(sender)
        futures.append(future)
    await asyncio.gather(*futures)
    took = time.perf_counter() - started
    failures = [failure for sender in senders for failure in sender.failures]
    if failures:
        print(failures[0])
    latencies = sorted(latency for sender in senders for latency in sender.latencies)
    return {
        "sends/s": sends / took,
        "failed": len(failures),
        "p50 ms": statistics.median(latencies) * 1000,
        "p99 ms": latencies[int(len(latencies) * 0.99)] * 1000,
    }


async def bench(arguments: argparse.Namespace) -> None:
    """Start everything, measure, print."""
    with tempfile.TemporaryDirectory(prefix="petit-bench-") as folder:
        async with NatsServer(NatsConfig(store=Path(folder))) as nats:
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context("spawn").Process(
                target=gateway_process, args=(nats.url, nats.token, theirs), kwargs={"profile": arguments.profile}
            )
            process.start()
            assert process.pid is not None
            tokens, port = ours.recv(), ours.recv()
            await generate(port, tokens, sends=2_000, connections=16)
            for connections in arguments.connections:
                before = {"gateway": cpu_s(process.pid), "nats": cpu_s(nats.pid), "generator": cpu_s(os.getpid())}
                figures = await generate(port, tokens, sends=arguments.sends, connections=connections)
                after = {"gateway": cpu_s(process.pid), "nats": cpu_s(nats.pid), "generator": cpu_s(os.getpid())}
                for name, at in after.items():
                    figures[f"{name} us"] = (at - before[name]) / arguments.sends * 1e6
                print(f"REST, {connections:4} connections:", {name: round(value, 1) for name, value in figures.items()})
            ours.send("do")
            rate, us = ours.recv()
            print(f"do, batches of {BATCH}, one at a time, one process: {rate:.0f}/s, {us:.1f} us of gateway each")
            ours.send("stop")
            process.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sends", type=int, default=30_000)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--profile", action="store_true")
    asyncio.run(bench(parser.parse_args()))
