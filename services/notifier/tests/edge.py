"""A live edge on loopback: the real HTTP server, hub and connections, on a world that is made up."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

from petit.contracts.ids import UserId
from petit.contracts.problems import Code, Refused, Unavailable
from petit.contracts.rpc import Do, DoneItem, TicketFor
from petit.kit.auth import Principal, Revocations
from petit.kit.clock import SystemClock
from petit.kit.ids import signal_ids
from petit.kit.limits import MemoryLimits
from petit.kit.serving import listen, serving
from petit.notifier.domain.frames import Format
from petit.notifier.handlers.doings import Doings
from petit.notifier.http.app import Front
from petit.notifier.sockets.door import open_stream
from services.notifier.tests.world import Frame, Stage, World, read_frames, stage

ORIGIN = "https://chat.example.org"
READS_PER_S = 500
"""The second does not end."""


class FakeTokens:
    """A token is a name, perhaps how many seconds it lasts, and its log-in: `ada`, `ada:40`, `ada:600:phone`."""

    def __init__(self) -> None:
        self.revocations = Revocations(clock=SystemClock())

    async def verify(self, token: bytes) -> Principal:
        name, lasts, session = (*token.decode("latin-1").split(":"), "", "")[:3]
        if not name.isalnum():
            raise Refused(Code.TOKEN_INVALID, "not a name")
        return Principal(
            user=UserId(name),
            username=name,
            name=name,
            roles=frozenset(),
            session=session or "s",
            issued_at=SystemClock().now_ms() / 1000,
            client="petit-web",
            expires_at=SystemClock().now_ms() / 1000 + float(lasts or 600),
        )


class FakeTickets:
    """A ticket is good once."""

    def __init__(self) -> None:
        self.held: dict[str, TicketFor] = {}

    async def redeem(self, ticket: str) -> TicketFor | None:
        return self.held.pop(ticket, None)


class StillClock(SystemClock):
    """A clock that stands."""

    def monotonic(self) -> float:
        return 0.0


class FakeGateway:
    """Remembers what it was asked to do; `gate` holds answers back."""

    def __init__(self) -> None:
        self.batches: list[list[Do]] = []
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def do(self, items: Sequence[Do]) -> Sequence[DoneItem]:
        self.batches.append(list(items))
        await self.gate.wait()
        if self.down:
            raise Unavailable("no gateway")
        said = [(json.loads(item.text), item.user) for item in items]
        return [DoneItem(status=201, body=json.dumps({"n": frame.get("n"), "by": user})) for frame, user in said]

    @property
    def items(self) -> list[Do]:
        return [item for batch in self.batches for item in batch]


class FakeRenewals:
    """Streams of other processes there are none."""

    def __init__(self, on: Stage) -> None:
        self._on = on

    async def renew(self, connection: str, *, user: UserId, session: str, expires_at: float) -> int:
        return self._on.hub.renew(connection, user=user, session=session, expires_at=expires_at)


@dataclass
class Edge:
    """A live edge that serves on a port."""

    port: int
    on: Stage
    world: World
    tickets: FakeTickets
    gateway: FakeGateway
    tokens: FakeTokens

    def websocket(self, user: str = "ada", *, query: str = "", **headers: str) -> Any:  # noqa: ANN401 - websockets' own
        """Return what connects a WebSocket."""
        return connect(
            f"ws://127.0.0.1:{self.port}/v1/ws{query}",
            subprotocols=["petit.v1"],  # type: ignore[list-item]  # a NewType over str
            additional_headers={"Authorization": f"Bearer {user}", **headers},
            compression=None,
            proxy=None,
        )

    async def sse(self, user: str = "ada", *, query: str = "", **headers: str) -> "Sse":
        """Open an SSE stream."""
        sse = Sse(*await asyncio.open_connection("127.0.0.1", self.port))
        await sse.ask("GET", f"/v1/stream{query}", {"Authorization": f"Bearer {user}", **headers})
        return sse

    async def ask(self, method: str, path: str, headers: dict[str, str], *, body: bytes = b"") -> "Answer":
        """Make one ordinary request."""
        sse = Sse(*await asyncio.open_connection("127.0.0.1", self.port))
        await sse.ask(method, path, {**headers, "Connection": "close"}, body=body)
        answer = Answer(sse.status, sse.headers, await sse.reader.read())
        await sse.close()
        return answer


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was answered
        return json.loads(self.body)


@dataclass
class Sse:
    """A client of SSE that sees every byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, headers: dict[str, str], *, body: bytes = b"") -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: here", *(f"{name}: {value}" for name, value in headers.items())]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.rstrip("\r\n").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}

    async def frame(self) -> Frame:
        """Read the next frame; its event is `close` at the end."""
        async with asyncio.timeout(5):
            size = await self.reader.readuntil(b"\r\n")
            chunk = size + await self.reader.readexactly(int(size, 16) + 2)
        (frame,) = read_frames(Format.SSE_FULL, chunk)
        return frame

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def frame_of(socket: ClientConnection) -> Frame:
    """Read the next frame of a WebSocket."""
    async with asyncio.timeout(5):
        said = json.loads(await socket.recv())
    return Frame(said["id"], said["event"], said["data"])


@asynccontextmanager
async def edge(world: World) -> AsyncIterator[Edge]:
    """Serve a world's streams."""
    async with stage(world) as on:
        gateway, tickets, tokens = FakeGateway(), FakeTickets(), FakeTokens()

        def spawn(work: Any) -> None:  # noqa: ANN401 - a coroutine
            task = asyncio.create_task(work)
            on.tasks.add(task)
            task.add_done_callback(on.tasks.discard)

        spawn(on.hub.run())
        clock = StillClock()
        limits = MemoryLimits({"reads": READS_PER_S}, clock=clock)
        new_id = signal_ids(clock)
        doings = Doings(on.hub, gateway=gateway, tokens=tokens, limits=limits, new_id=new_id, spawn=spawn)
        front = Front(
            log=world,
            tokens=tokens,
            tickets=tickets,
            renewals=FakeRenewals(on),
            door=partial(open_stream, hub=on.hub, doings=doings),
            limits=limits,
            origins=frozenset({ORIGIN}),
            clock=SystemClock(),
        )
        async with serving(front, sock=listen("127.0.0.1", port=0), drain=on.hub.drain, grace_s=3) as port:
            yield Edge(port, on, world, tickets, gateway, tokens)
