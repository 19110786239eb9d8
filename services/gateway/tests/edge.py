"""A whole gateway over ports in memory, and people who speak to it by HTTP."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from petit.contracts.ids import ChatId
from petit.gateway.app import Gateway, Options, Ports, gateway
from services.gateway.tests.issuing import MemoryAccounts, issuing
from services.gateway.tests.memory import (
    MemoryChats,
    MemoryClock,
    MemoryDirectory,
    MemoryLog,
    MemoryMirror,
    MemoryTickets,
    MemoryTokens,
)

NAMES = ("ada", "bob", "cat", "dan", "eve")
NO_CHAT = "019353a0-0000-7000-8000-0000000000ff"
"""A chat that is not there."""


@dataclass
class Edge:
    """The gateway, and the world behind it for tests to change."""

    clock: MemoryClock
    log: MemoryLog
    chats: MemoryChats
    mirror: MemoryMirror
    tokens: MemoryTokens
    tickets: MemoryTickets
    directory: MemoryDirectory
    accounts: MemoryAccounts
    gateway: Gateway
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    def client(self, user: str | None) -> httpx2.AsyncClient:
        """Return a client that speaks for somebody; None for nobody."""
        headers = {} if user is None else {"authorization": f"Bearer {user}"}
        transport = httpx2.ASGITransport(app=self.gateway.asgi)
        client = httpx2.AsyncClient(transport=transport, base_url="http://edge", headers=headers)
        self.clients.append(client)
        return client

    def uuid7(self, *, seconds: float = 0.0) -> str:
        """Return an id whose time is so many seconds from now."""
        ms = self.clock.ms + round(seconds * 1000)
        return str(uuid.UUID(int=ms << 80 | 7 << 76 | 2 << 62 | uuid.uuid4().int & ((1 << 62) - 1)))

    async def create(self, by: str, **body: Any) -> ChatId:  # noqa: ANN401 - JSON
        """Create a chat and return its id."""
        response = await self.client(by).post("/v1/chats", json={"kind": "group", **body})
        assert response.status_code == 201, response.text
        return ChatId(response.json()["id"])

    async def send(self, by: str, chat: str, **body: Any) -> httpx2.Response:  # noqa: ANN401 - JSON
        """Send a message."""
        return await self.client(by).post(f"/v1/chats/{chat}/messages", json={"text": "hi", **body})


def edge(*, options: Options | None = None, window_s: float = 120.0) -> Edge:
    """Return a gateway over a fresh world of a few people."""
    clock = MemoryClock()
    log = MemoryLog(clock, window_s=window_s)
    chats = MemoryChats(log)
    mirror = MemoryMirror(chats)
    directory = MemoryDirectory(*NAMES)
    accounts = MemoryAccounts(directory)
    tokens = MemoryTokens(clock, directory)
    tickets = MemoryTickets()
    ports = Ports(
        log=log,
        feed=log,
        mirror=mirror,
        chats=chats,
        tokens=tokens,
        tickets=tickets,
        issuer=issuing(directory, accounts),
        clock=clock,
    )
    return Edge(clock, log, chats, mirror, tokens, tickets, directory, accounts, gateway(ports, options=options))


@asynccontextmanager
async def opened(**more: Any) -> AsyncIterator[Edge]:  # noqa: ANN401 - as `edge`
    """Open an edge with its background work, and close its clients."""
    one = edge(**more)
    async with one.gateway.running():
        yield one
    for client in one.clients:
        await client.aclose()


async def eventually(condition: Callable[[], object], *, within: float = 5.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not, within so many seconds.
    """
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.005)


def problem(response: httpx2.Response) -> Mapping[str, Any]:
    """Return the problem in an answer, checked for what all problems have."""
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body["type"] == f"https://petit.chat/problems/{body['code']}"
    assert body["title"]
    assert body["detail"]
    return body


def code(response: httpx2.Response) -> tuple[int, str]:
    """Return an answer's status and its problem's code."""
    return response.status_code, problem(response)["code"]
