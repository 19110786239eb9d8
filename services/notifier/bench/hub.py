# ruff: noqa: INP001 - a script, started by its path
"""What a delivery costs: the hub on real sockets, beside a bare asyncio fan-out in the same run.

    python services/notifier/bench/hub.py --rooms 20 --members 50 --rate 400 --seconds 5

A child process reads all connections and counts bytes; nothing else runs. Both hubs get the same messages at
the same rate, and their own CPU time is divided by deliveries. No gateway, log or fold is in the figures.
"""

import argparse
import asyncio
import gc
import multiprocessing
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
import uvloop

sys.path.insert(0, str(Path(__file__).parents[3]))

from petit.kit.ids import signal_ids
from petit.kit.limits import MemoryLimits
from petit.kit.serving import listen, serving
from petit.notifier.handlers.doings import Doings
from petit.notifier.http.app import Front
from petit.notifier.sockets.door import open_stream
from services.notifier.tests.edge import FakeGateway, FakeRenewals, FakeTickets, FakeTokens
from services.notifier.tests.world import Stage, World, chat_id, eventually, stage


@dataclass(frozen=True)
class Plan:
    """So many rooms, with so many members each, and messages over all rooms a second."""

    rooms: int
    members: int
    rate: int
    seconds: float

    @property
    def people(self) -> list[tuple[int, str]]:
        """Return (room, person): everybody is in one room."""
        return [(room, f"u{room}x{n}") for room in range(self.rooms) for n in range(self.members)]


def read_all(port: int, people: list[tuple[int, str]]) -> None:
    """Open one stream a person, and read until the server closes them."""
    selector = selectors.DefaultSelector()
    for _, name in people:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(f"GET /v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {name}\r\n\r\n".encode())
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    buffer = bytearray(1 << 20)
    while selector.get_map():
        for key, _ in selector.select():
            if not key.fileobj.recv_into(buffer):  # type: ignore[union-attr]  # a socket
                selector.unregister(key.fileobj)


def rss_kb() -> int:
    """Return this process's memory, KB; not its proportional share, which the fork of the reader halves."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


async def pace(plan: Plan, say: "partial[None] | object") -> tuple[float, int]:
    """Call `say(n)` at the rate, and return the CPU seconds spent and the messages said."""
    total = int(plan.rate * plan.seconds)
    started, spent = time.monotonic(), time.process_time()
    said = 0
    while said < total:
        due = min(total, int((time.monotonic() - started) * plan.rate))
        for n in range(said, due):
            say(n)  # type: ignore[operator]  # a function
        said = due
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)
    return time.process_time() - spent, total


async def idle(plan: Plan) -> float:
    """Return the CPU seconds that pacing alone costs."""
    return (await pace(plan, lambda _: None))[0]


async def of_hub(plan: Plan) -> tuple[float, float]:
    """Return microseconds a delivery, and KB a connection."""
    world = World()
    for room in range(plan.rooms):
        world.create(chat_id(room), *(name for at, name in plan.people if at == room))
    async with stage(world, ring=32_000_000) as on:
        tokens = FakeTokens()
        clock = on.hub._clock  # noqa: SLF001 - the same
        limits = MemoryLimits({"reads": 5_000}, clock=clock)
        doings = Doings(
            on.hub,
            gateway=FakeGateway(),
            tokens=tokens,
            limits=limits,
            new_id=signal_ids(clock),
            spawn=asyncio.ensure_future,
        )
        front = Front(
            log=world,
            tokens=tokens,
            tickets=FakeTickets(),
            renewals=FakeRenewals(on),
            door=partial(open_stream, hub=on.hub, doings=doings),
            limits=limits,
            origins=frozenset(),
            clock=on.hub._clock,  # noqa: SLF001 - the same
        )
        gc.collect()
        before = rss_kb()
        async with serving(front, sock=listen("127.0.0.1", port=0), drain=on.hub.drain) as port:
            reader = multiprocessing.get_context("fork").Process(target=read_all, args=(port, plan.people))
            reader.start()
            await eventually(lambda: len(on.hub) == len(plan.people) and on.hub._resume.idle)  # noqa: SLF001 - the bench looks inside
            for room in range(plan.rooms):
                await on.mirror.load(chat_id(room))
            gc.collect()
            memory = (rss_kb() - before) / len(plan.people)
            spent, said = await pace(plan, partial(_say, plan, on))
            if len(on.hub) != len(plan.people):
                sys.exit("some connections were cut: this run has no figures")
    await asyncio.to_thread(reader.join)
    return (spent - await idle(plan)) / (said * plan.members) * 1e6, memory


def _say(plan: Plan, on: Stage, n: int) -> None:
    room = n % plan.rooms
    on.world.say(chat_id(room), f"u{room}x0", text="x" * 200)
    on.deliver()


async def of_floor(plan: Plan) -> float:
    """Return microseconds a delivery of a loop over `transport.write`, and nothing else."""
    rooms: list[list[asyncio.Transport]] = [[] for _ in range(plan.rooms)]

    class Listener(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            name = data.partition(b"Bearer u")[2].partition(b"x")[0]
            rooms[int(name)].append(self.transport)  # type: ignore[arg-type]  # a stream's

    server = await asyncio.get_running_loop().create_server(Listener, "127.0.0.1", 0, backlog=4_096)
    port = server.sockets[0].getsockname()[1]
    reader = multiprocessing.get_context("fork").Process(target=read_all, args=(port, plan.people))
    reader.start()
    await eventually(lambda: sum(map(len, rooms)) == len(plan.people))
    frame = b"x" * 480  # as long as the hub's frame for 200 characters

    def say(n: int) -> None:
        for transport in rooms[n % plan.rooms]:
            transport.write(frame)

    spent, said = await pace(plan, say)
    for transport in (one for room in rooms for one in room):
        transport.close()
    server.close()
    await asyncio.to_thread(reader.join)
    return (spent - await idle(plan)) / (said * plan.members) * 1e6


async def main(plan: Plan) -> None:
    """Measure both, and print."""
    cost, memory = await of_hub(plan)
    floor = await of_floor(plan)
    rate = plan.rate * plan.members
    sys.stdout.write(
        f"{plan.rooms} rooms x {plan.members} members, {plan.rate} messages/s = {rate:,} deliveries/s offered\n"
        f"hub    {cost:6.2f} us a delivery (CPU-s per million), {memory:.1f} KB a connection\n"
        f"floor  {floor:6.2f} us a delivery; ratio {cost / floor:.2f}\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=20)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--rate", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    uvloop.run(main(Plan(given.rooms, given.members, given.rate, given.seconds)))
