"""The floor: a bare asyncio fan-out hub with the wire's frames and nothing else.

No log, no check, no limit: a post is answered, and its frame, encoded once, is written to every member's
connection in turn. What it costs is what Python, uvloop and the system calls cost on this machine, so the
product's figures are given as ratios to it.

`python -m petit.cli.load.floor` prints its port and ends when standard input does. A token is
`<room>.<member>`, a chat id the room's number.
"""

import asyncio
import itertools
import json
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvloop

from petit.cli.load.frames import server_frame, unmask
from petit.cli.load.lanes import Author
from petit.cli.load.meter import Process
from petit.cli.load.orders import Seat
from petit.cli.load.plan import Address, Plan
from petit.cli.load.scene import Scene, full_reading

_AT: Final = "2026-01-01T00:00:00.000Z"
_ID: Final = "00000000-0000-7000-8000-000000000000"
_SSE_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_WS_HEAD: Final = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"


class Hub:
    """Rooms of transports, and the numbers that the wire wants."""

    def __init__(self) -> None:
        self.sse: defaultdict[str, set[asyncio.WriteTransport]] = defaultdict(set)
        self.ws: defaultdict[str, set[asyncio.WriteTransport]] = defaultdict(set)
        self._offsets = itertools.count(1)
        self._seqs: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))

    def send(self, room: str, *, text: str) -> int:
        """Write a message to everyone in its room, and return its offset."""
        offset, seq = next(self._offsets), next(self._seqs[room])
        data = (
            f'{{"offset":{offset},"seq":{seq},"id":"{_ID}","type":"msg","chat":"{room}","by":"{_ID}","at":"{_AT}",'
            f'"data":{{"text":"{text}","files":[],"reply_to":null,"mentions":[]}}}}'
        )
        if listeners := self.sse.get(room):
            frame = sse_frame(offset, event="signal", data=data)
            for transport in listeners:
                transport.write(frame)
        if listeners := self.ws.get(room):
            frame = ws_frame(offset, event="signal", data=data)
            for transport in listeners:
                transport.write(frame)
        return offset


def sse_frame(offset: int, *, event: str, data: str) -> bytes:
    """Encode a server-sent event as one HTTP chunk."""
    frame = f"id: {offset:018d}\nevent: {event}\ndata: {data}\n\n"
    return f"{len(frame):x}\r\n{frame}\r\n".encode("ascii")


def ws_frame(offset: int, *, event: str, data: str) -> bytes:
    """Encode the same for a WebSocket."""
    return server_frame(f'{{"id":"{offset:018d}","event":"{event}","data":{data}}}'.encode("ascii"))


def hello() -> str:
    """Spell the data of the first frame."""
    return (
        f'{{"connection":"{_ID}","user":"{_ID}","cursor":"0","resumed":false,"heartbeat_s":25,"server_time":"{_AT}"}}'
    )


class Peer(asyncio.Protocol):
    """One connection: requests, until one of them turns it into a stream."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._received = b""
        self._room = ""
        self._upgraded = False
        self._transport: asyncio.WriteTransport = asyncio.WriteTransport()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport  # type: ignore[assignment]  # a TCP connection's can be written to

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._hub.sse[self._room].discard(self._transport)
        self._hub.ws[self._room].discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += data
        if self._upgraded:
            self._sent_frames()
            return
        while (end := self._received.find(b"\r\n\r\n") + 4) >= len(b"\r\n\r\n"):
            head = self._received[:end].decode("ascii")
            size = int(_header(head, "Content-Length") or 0)
            if len(self._received) < end + size:
                return
            body, self._received = self._received[end : end + size], self._received[end + size :]
            self._request(head, body=body)

    def _request(self, head: str, *, body: bytes) -> None:
        path = head.split(" ", 2)[1]
        if head.startswith("POST"):
            offset = self._hub.send(path.split("/")[3], text=json.loads(body)["text"])
            answer = f'{{"id":"{_ID}","chat":"0","by":"{_ID}","at":"{_AT}","offset":{offset}}}'
            self._transport.write(
                f"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\npetit-offset: {offset}\r\n"
                f"content-length: {len(answer)}\r\n\r\n{answer}".encode("ascii")
            )
            return
        self._room = _header(head, "Authorization").removeprefix("Bearer ").partition(".")[0]
        if path.startswith("/v1/ws"):
            self._upgraded = True
            self._transport.write(_WS_HEAD + ws_frame(0, event="hello", data=hello()))
            self._hub.ws[self._room].add(self._transport)
        else:
            self._transport.write(_SSE_HEAD + sse_frame(0, event="hello", data=hello()))
            self._hub.sse[self._room].add(self._transport)

    def _sent_frames(self) -> None:
        while True:
            payload, self._received = unmask(self._received)
            if not payload:
                return
            asked = json.loads(payload)
            offset = self._hub.send(asked["chat"], text=asked["text"])
            data = f'{{"ref":"{asked["ref"]}","status":201,"body":{{"id":"{_ID}","offset":{offset}}}}}'
            self._transport.write(ws_frame(offset, event="reply", data=data))


def _header(head: str, name: str) -> str:
    return head.partition(f"\r\n{name}: ")[2].partition("\r\n")[0]


@asynccontextmanager
async def floor(plan: Plan) -> AsyncIterator[Scene]:
    """Start the hub in its own process, and end it on the way out; its scene is as large as the plan's."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "petit.cli.load.floor",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the floor was started without pipes")
    try:
        port = int(await process.stdout.readline())
        yield _scene(plan, port=port, pid=process.pid)
    finally:
        process.stdin.close()
        await process.wait()


def _scene(plan: Plan, *, port: int, pid: int) -> Scene:
    senders = min(plan.senders, plan.members)
    return Scene(
        name="floor",
        address=Address(host="127.0.0.1", port=port),
        chats=tuple(map(str, range(plan.rooms))),
        authors=tuple(
            Author(room=room, chat=str(room), token=f"{room}.{place}")
            for place in range(senders)
            for room in range(plan.rooms)
        ),
        seats=tuple(
            Seat(
                room=room,
                chat=str(room),
                name=f"member {place} of room {room}",
                token=f"{room}.{place}",
                full=full_reading(place),
            )
            for room in range(plan.rooms)
            for place in range(plan.members)
        ),
        processes=(Process(name="floor", pid=pid),),
    )


async def _main() -> None:
    loop = asyncio.get_running_loop()
    hub = Hub()
    server = await loop.create_server(lambda: Peer(hub), host="127.0.0.1", port=0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()
    server.close()


def main() -> None:
    """Run the hub until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the conductor, who ends this process in order
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())


if __name__ == "__main__":
    main()
