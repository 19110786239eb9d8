"""A test double of the wire for the generator's own tests: API.md's sends, pages and streams, and faults on demand.

It keeps everything in memory, trusts everybody and checks nothing: it is there to be measured, and to lose,
double or reorder a delivery when told to.
"""

import asyncio
import base64
import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, urlsplit

from petit.cli.load.frames import server_frame, unmask

AT = "2026-11-20T21:04:05.678Z"
ID = "0193e0f0-0000-7000-8000-000000000000"


class Fault(StrEnum):
    """What goes wrong at one message."""

    NONE = "none"
    LOSE = "lose"
    DOUBLE = "double"
    SWAP = "swap"
    LOSE_FOR_ALL = "lose for all"
    WRONG_OFFSET = "wrong offset"
    HOLE_IN_SEQ = "hole in seq"
    CUT = "cut"
    FORGET = "forget"
    REFUSE = "refuse"


@dataclass(slots=True, kw_only=True)
class Stream:
    """An open stream."""

    user: str
    websocket: bool
    writer: asyncio.StreamWriter
    held: bytes = b""
    """A frame that comes after the next one."""

    def write(self, event: str, *, offset: int, data: dict[str, Any]) -> bytes:
        """Spell a frame as API.md does."""
        cursor, line = f"c{offset}", json.dumps(data)
        if self.websocket:
            return server_frame(f'{{"id":"{cursor}","event":"{event}","data":{line}}}'.encode())
        frame = f"id: {cursor}\nevent: {event}\ndata: {line}\n\n"
        return f"{len(frame):x}\r\n{frame}\r\n".encode()


@dataclass(slots=True, kw_only=True)
class Fake:
    """The server: its chats, its log and its one fault."""

    fault: Fault = Fault.NONE
    at: int = 5
    """At which message of a chat the fault happens."""
    stall_s: float = 0.0
    """How long each send takes."""
    members: dict[str, list[str]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    streams: dict[str, list[Stream]] = field(default_factory=lambda: defaultdict(list))
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    port: int = 0
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("Content-Length", "0")))
                method, target, _ = head.split("\r\n", 1)[0].split(" ")
                url = urlsplit(target)
                user = fields.get("Authorization", "").removeprefix("Bearer ").split(".")[1:2]
                name = json.loads(base64.urlsafe_b64decode(user[0] + "=="))["sub"] if user else ""
                if url.path in {"/v1/stream", "/v1/ws"} and self.fault is not Fault.REFUSE:
                    await self.stream(url.path, query=parse_qs(url.query), user=name, reader=reader, writer=writer)
                    break
                status, answer = await self.answer(f"{method} {url.path}", query=url.query, user=name, body=body)
                content = json.dumps(answer).encode()
                offset = f"Petit-Offset: {answer['offset']}\r\n" if "offset" in answer else ""
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n{offset}\r\n".encode() + content
                )
        writer.close()
        self.writers.discard(writer)

    async def answer(self, route: str, *, query: str, user: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer a request that is no stream."""
        match route.split("/"):
            case ["POST ", "realms", *_]:
                name = parse_qs(body.decode()).get("username", ["admin"])[0]
                claims = base64.urlsafe_b64encode(json.dumps({"sub": name}).encode()).decode().rstrip("=")
                return 200, {"access_token": f"x.{claims}.y", "expires_in": 600}
            case ["POST ", "admin", *_]:
                return 201, {}
            case ["POST ", "v1", "chats"]:
                chat = f"chat-{next(self.ids)}"
                self.members[chat] = [user, *json.loads(body).get("members", [])]
                return 201, {"id": chat}
            case ["POST ", "v1", "chats", chat, "messages"]:
                await asyncio.sleep(self.stall_s)
                return 201, {"id": ID, "offset": self.send(chat, text=json.loads(body)["text"], by=user)}
            case ["GET ", "v1", "chats", chat, "messages"]:
                return 200, self.page(chat, query=parse_qs(query))
            case _:
                return 404, {"code": "route.not_found"}

    def page(self, chat: str, *, query: dict[str, list[str]]) -> dict[str, Any]:
        """Page history."""
        placed = [entry for entry in self.log if entry["chat"] == chat]
        items = [{"seq": e["seq"], "offset": e["offset"], "text": e["data"]["text"]} for e in placed]
        if self.fault is Fault.FORGET:
            items = [item for item in items if item["seq"] != self.at]
        after = int(query.get("after", ["0"])[0])
        limit = int(query.get("limit", ["50"])[0])
        return {"items": [i for i in items if i["seq"] > after][:limit], "head_seq": len(placed), "first_seq": 1}

    def send(self, chat: str, *, text: str, by: str) -> int:
        """Store a message, deliver it, and return the offset that is acknowledged."""
        offset, seq = len(self.log) + 100, 1 + sum(entry["chat"] == chat for entry in self.log)
        now = seq == self.at
        hole = self.fault is Fault.HOLE_IN_SEQ and seq >= self.at
        entry = {
            "offset": offset,
            "seq": seq + hole,
            "id": ID,
            "type": "msg",
            "chat": chat,
            "by": by,
            "at": AT,
            "data": {"text": text, "files": [], "reply_to": None, "mentions": []},
        }
        self.log.append(entry)
        if self.fault is Fault.CUT and now:
            for member in self.members[chat]:
                for stream in self.streams[member]:
                    stream.writer.transport.abort()
            return offset
        for place, member in enumerate(self.members[chat]):
            for stream in self.streams[member]:
                self.deliver(stream, entry=entry, fault=self.fault if now else Fault.NONE, victim=place == 1)
        return offset + (self.fault is Fault.WRONG_OFFSET and now)

    def deliver(self, stream: Stream, *, entry: dict[str, Any], fault: Fault, victim: bool) -> None:
        """Write a message to one stream, or do what the fault says."""
        frame = stream.write("signal", offset=entry["offset"], data=entry)
        if fault is Fault.LOSE_FOR_ALL or (fault is Fault.LOSE and victim):
            return
        if fault is Fault.SWAP and victim:
            stream.held = frame
            return
        twice = fault is Fault.DOUBLE and victim
        stream.writer.write(frame + (frame if twice else b"") + stream.held)
        stream.held = b""

    async def stream(
        self,
        path: str,
        *,
        query: dict[str, list[str]],
        user: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Open a stream, from its cursor if it has one, and keep it until it ends."""
        mine = Stream(user=user, websocket=path == "/v1/ws", writer=writer)
        chunked = "content-type: text/event-stream\r\ntransfer-encoding: chunked"
        head = "101 X\r\nupgrade: websocket" if mine.websocket else f"200 OK\r\n{chunked}"
        since = int(query["cursor"][0][1:]) if "cursor" in query else len(self.log) + 99
        writer.write(f"HTTP/1.1 {head}\r\n\r\n".encode() + mine.write("hello", offset=since, data={"user": user}))
        for entry in self.log:
            if entry["offset"] > since and user in self.members[entry["chat"]]:
                writer.write(mine.write("signal", offset=entry["offset"], data=entry))
        self.streams[user].append(mine)
        rest = b""
        while data := await reader.read(65536):
            payload, rest = unmask(rest + data)
            while payload:
                asked = json.loads(payload)
                offset = self.send(asked["chat"], text=asked["text"], by=user)
                reply = {"ref": asked["ref"], "status": 201, "body": {"id": ID, "offset": offset}}
                writer.write(mine.write("reply", offset=offset, data=reply))
                payload, rest = unmask(rest)
        self.streams[user].remove(mine)


@asynccontextmanager
async def serving(fake: Fake) -> AsyncIterator[Fake]:
    """Serve on a free port."""
    server = await asyncio.start_server(fake.handle, host="127.0.0.1", port=0, backlog=1000)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        async with asyncio.timeout(5):
            while fake.writers:
                for writer in fake.writers:
                    writer.transport.abort()
                await asyncio.sleep(0.01)
