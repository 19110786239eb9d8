"""How a message gets to the server: REST lanes ask one thing at a time, WebSocket lanes have a window.

A lane decides whose message it is and in which room, because a WebSocket belongs to one person.
"""

import asyncio
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from petit.cli.load.frames import PING, TEXT, client_frame, pong, walk, ws_request
from petit.cli.load.ledger import Ledger
from petit.cli.load.link import LOST, Link
from petit.cli.load.plan import Address
from petit.cli.load.stamp import Stamp

_OPEN_S: Final = 30.0
_OFFSET: Final = b"petit-offset:"
_REPLY: Final = b'"event":"reply"'
_REPLY_WITHIN: Final = 120
"""Bytes of a frame within which its event stands."""
_ID_RANDOM: Final = os.urandom(5).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """A person who sends into one room."""

    room: int
    chat: str
    token: str


@dataclass(slots=True, kw_only=True)
class Desk:
    """What all lanes of one run share."""

    stamp: Stamp
    ledger: Ledger
    """Of the step that is running."""
    freed: Callable[["Lane"], None]
    """Called when a lane could take one more message."""


class Lane(Protocol):
    """One way to the server."""

    @property
    def spare(self) -> int:
        """How many more messages it takes now; 0 for ever once its connection is lost."""
        ...

    def submit(self, number: int, *, due: int) -> None:
        """Send a message; its answer goes to the desk's ledger, then `freed` is called."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


def message_id(number: int) -> str:
    """Make the UUID version 7 of a message: time, number and chance (RFC 9562, 5.7)."""
    ms = f"{time.time_ns() // 1_000_000:012x}"
    return (
        f"{ms[:8]}-{ms[8:]}-7{number & 0xFFF:03x}-8{(number >> 12) & 0xFFF:03x}-{_ID_RANDOM}{number >> 24 & 0xFF:02x}"
    )


class RestLane:
    """A keep-alive connection that posts for whoever's turn it is; see `Lane`."""

    def __init__(self, link: Link, *, address: Address, desk: Desk, posts: Iterator["Post"]) -> None:
        self._link = link
        self._address = address
        self._desk = desk
        self._posts = posts
        self._busy = False

    @property
    def spare(self) -> int:
        """See `Lane.spare`."""
        return 0 if self._busy or self._link.lost else 1

    def submit(self, number: int, *, due: int) -> None:
        """See `Lane.submit`."""
        desk = self._desk
        ledger = desk.ledger
        post = next(self._posts)
        self._busy = True

        def done(status: int, head: bytes, body: bytes) -> None:
            self._busy = False
            at = head.find(_OFFSET)
            offset = int(head[at + len(_OFFSET) : head.find(b"\r", at)]) if at >= 0 else 0
            ledger.record(number, room=post.room, due=due, status=status, offset=offset, problem=body)
            desk.freed(self)

        text = desk.stamp.text(number, due=due)
        body = b'{"id":"%b","text":"%b"}' % (message_id(number).encode("ascii"), text)
        self._link.ask(b"%b%d\r\n\r\n%b" % (post.head, len(body), body), done=done)

    def close(self) -> None:
        """See `Lane.close`."""
        self._link.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """The part of a request that is the same for all messages of one author."""

    room: int
    head: bytes
    """Up to the value of Content-Length."""

    @classmethod
    def of(cls, author: Author, *, address: Address) -> "Post":
        """Spell the head of an author's sends."""
        return cls(
            room=author.room,
            head=(
                f"POST /v1/chats/{author.chat}/messages HTTP/1.1\r\nHost: {address}\r\n"
                f"Authorization: Bearer {author.token}\r\nContent-Type: application/json\r\nContent-Length: "
            ).encode("ascii"),
        )


class WsLane(asyncio.Protocol):
    """One author's WebSocket with a window of unanswered sends; see `Lane`."""

    def __init__(self, author: Author, *, desk: Desk, window: int, request: bytes) -> None:
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._author = author
        self._desk = desk
        self._window = window
        self._request = request
        self._upgraded = False
        self._waiting: dict[int, tuple[int, Ledger]] = {}
        """Due time and ledger of each unanswered send."""
        self._received = b""
        self._transport: asyncio.Transport | None = None

    @property
    def spare(self) -> int:
        """See `Lane.spare`."""
        return 0 if self._transport is None else self._window - len(self._waiting)

    def submit(self, number: int, *, due: int) -> None:
        """See `Lane.submit`."""
        self._waiting[number] = due, self._desk.ledger
        payload = b'{"do":"send","ref":"%d","chat":"%b","id":"%b","text":"%b"}' % (
            number,
            self._author.chat.encode("ascii"),
            message_id(number).encode("ascii"),
            self._desk.stamp.text(number, due=due),
        )
        if self._transport is not None:
            self._transport.write(client_frame(payload))

    def close(self) -> None:
        """See `Lane.close`."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = transport  # type: ignore[assignment]  # a TCP connection's is a Transport
        self._transport.write(self._request)  # type: ignore[union-attr]  # set in the line above

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        data = self._received + data
        if not self._upgraded:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self._received = data
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._fail(head)
                return
            self._upgraded, data = True, rest
        frames, end = walk(data)
        self._received = data[end:]
        for first, start, stop in frames:
            if first == TEXT:
                self._frame(data, start=start, stop=stop)
            elif first == PING and self._transport is not None:
                self._transport.write(pong(data[start:stop]))

    def _frame(self, data: bytes, *, start: int, stop: int) -> None:
        within = min(stop, start + _REPLY_WITHIN)
        if data.find(_REPLY, start, within) >= 0:
            reply = json.loads(data[start:stop])["data"]
            number = int(reply["ref"])
            due, ledger = self._waiting.pop(number)
            status, body = int(reply["status"]), reply.get("body") or {}
            ledger.record(
                number,
                room=self._author.room,
                due=due,
                status=status,
                offset=int(body.get("offset", 0)),
                problem=json.dumps(body).encode(),
            )
            self._desk.freed(self)
        elif data.find(b'"event":"signal"', start, within) >= 0:
            self._desk.ledger.signals += 1
        elif not self.greeted.done() and data.find(b'"event":"hello"', start, within) >= 0:
            self.greeted.set_result(None)

    def _fail(self, head: bytes) -> None:
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError(f"a sender's WebSocket was refused: {head[:200]!r}"))
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        self._fail(b"the connection ended")
        waiting, self._waiting = self._waiting, {}
        for number, (due, ledger) in waiting.items():
            ledger.record(number, room=self._author.room, due=due, status=LOST, offset=0, problem=b"")
            self._desk.freed(self)


async def rest_lanes(address: Address, *, authors: list[Author], desk: Desk, inflight: int) -> list[Lane]:
    """Open REST lanes that take turns through the authors.

    Raises:
        OSError: nobody listens there.
    """
    posts = itertools.cycle([Post.of(author, address=address) for author in authors])
    links = await asyncio.gather(*(Link.open(address) for _ in range(inflight)))
    return [RestLane(link, address=address, desk=desk, posts=posts) for link in links]


async def ws_lanes(address: Address, *, authors: list[Author], desk: Desk, inflight: int) -> list[Lane]:
    """Open one WebSocket lane per author, the window shared out over them.

    Raises:
        OSError: nobody listens there, or the upgrade was refused.
    """
    window = max(1, inflight // len(authors))
    gate = asyncio.Semaphore(100)

    async def one(author: Author) -> Lane:
        request = ws_request(str(address), token=author.token, cursor="")
        lane = WsLane(author, desk=desk, window=window, request=request)
        async with gate, asyncio.timeout(_OPEN_S):
            await asyncio.get_running_loop().create_connection(lambda: lane, host=address.host, port=address.port)
            await lane.greeted
        return lane

    return list(await asyncio.gather(*map(one, authors)))
