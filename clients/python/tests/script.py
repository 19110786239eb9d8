"""A server that plays a script: what each connection to its stream carries, over SSE or WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

import httpx2
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from petit.client import Client, Patience
from petit.contracts.ids import timestamp
from petit.contracts.problems import Code, Refused

CHAT: Final = "0198c2f0-0000-7000-8000-000000000001"
Cut = Literal["cut", "silence"]
Step = tuple[str, str, dict[str, Any]] | Cut
"""A frame (its id, event and data), or how the connection ends."""


def hello(cursor: str, *, heartbeat_s: int = 20) -> Step:
    data = {"connection": "c-1", "user": "me", "cursor": cursor, "resumed": True, "heartbeat_s": heartbeat_s}
    return (cursor, "hello", {**data, "server_time": timestamp(0)})


def msg(offset: int, *, seq: int | None = None) -> Step:
    return (f"c{offset}", "signal", message(offset, seq=seq) | {"type": "msg", "data": {"text": str(offset)}})


def message(offset: int, *, seq: int | None = None) -> dict[str, Any]:
    return {"id": f"m{offset}", "seq": seq or offset, "offset": offset, "chat": CHAT, "by": "bob", "at": timestamp(0)}


def bye(code: int, *, resume: bool) -> Step:
    return ("", "bye", {"code": code, "resume": resume})


class Tokens:
    """Gives t0, then t1, …: a new one whenever the last one is stale."""

    def __init__(self) -> None:
        self.made = 0

    async def access_token(self, http: httpx2.AsyncClient, *, stale: str | None = None) -> str:
        if stale == f"t{self.made}":
            self.made += 1
        return f"t{self.made}"


@dataclass
class Server:
    """Plays one connection's steps after another's; the last one is left open."""

    connections: list[list[Step] | Code]
    answer: Callable[[httpx2.Request], httpx2.Response] = lambda _: httpx2.Response(404)
    cursors: list[str | None] = field(default_factory=list)
    """What each connection asked to resume from."""
    bearers: list[str] = field(default_factory=list)
    renewed: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """Tokens given in place."""

    def next(self, query: str, bearer: str) -> list[Step] | Code:
        self.cursors.append(parse_qs(query).get("cursor", [None])[0])
        self.bearers.append(bearer.removeprefix("Bearer "))
        return self.connections.pop(0) if self.connections else ["silence"]

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/v1/streams/c-1/token":
            self.renewed.put_nowait(json.loads(request.content)["token"])
            return httpx2.Response(204)
        if request.url.path != "/v1/stream":
            return self.answer(request)
        steps = self.next(request.url.query.decode(), request.headers["Authorization"])
        if isinstance(steps, Code):
            refused = Refused(steps, "no")
            return httpx2.Response(refused.status, json=refused.problem().model_dump(mode="json"))
        return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Played(steps))

    async def play(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        reading = asyncio.ensure_future(self._read(socket))
        for step in self._planned.pop(id(socket.request)):
            if step == "cut":
                socket.transport.abort()
                return
            if step == "silence":
                await socket.wait_closed()
                return
            assert not isinstance(step, str)
            name, event, data = step
            await socket.send(json.dumps({"id": name, "event": event, "data": data}))
            if event == "bye":
                await socket.close(data["code"])
        reading.cancel()
        socket.transport.abort()

    async def _read(self, socket: ServerConnection) -> None:
        async for text in socket:
            frame = json.loads(text)
            assert frame["do"] == "auth"
            self.renewed.put_nowait(frame["token"])

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        del socket
        steps = self.next(urlsplit(request.path).query, request.headers["Authorization"])
        if isinstance(steps, Code):
            refused = Refused(steps, "no")
            status = HTTPStatus(refused.status)
            body = json.dumps(refused.problem().model_dump(mode="json")).encode()
            return Response(status.value, status.phrase, Headers({"Content-Length": str(len(body))}), body)
        self._planned[id(request)] = steps
        return None

    _planned: dict[int, list[Step]] = field(default_factory=dict)


class Played(httpx2.AsyncByteStream):
    """A response's body that plays steps."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self._steps:
            if step == "cut":
                raise httpx2.ReadError("cut")
            if step == "silence":
                await asyncio.Event().wait()
            assert not isinstance(step, str)
            name, event, data = step
            text = f"id: {name}\nevent: {event}\ndata: {json.dumps(data)}\n\n"
            yield (text if name else text.partition("\n")[2]).encode()
            if event == "bye":
                return


@asynccontextmanager
async def playing(server: Server) -> AsyncIterator[Client]:
    """Yield a client of a server, whichever transport it will choose."""
    async with serve(
        server.play,
        "127.0.0.1",
        0,
        process_request=server.admit,
        subprotocols=[Subprotocol("petit.v1")],
        close_timeout=0.1,
    ) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        async with Client(
            f"http://127.0.0.1:{port}",
            tokens=Tokens(),
            patience=Patience(attempt_s=2, total_s=5),
            transport=httpx2.MockTransport(server.handle),
        ) as client:
            yield client
