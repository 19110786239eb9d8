"""The HTTP runner: ordinary requests, connections that a route takes over, and stopping."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from petit.kit.serving import TAKEOVER, Taken, listen, serving

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Echo(asyncio.Protocol):
    """Writes back what it gets."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost = asyncio.Event()
        self.losses = 0

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"<" + data + b">")

    def connection_lost(self, exc: Exception | None) -> None:
        self.losses += 1
        self.lost.set()


class App:
    """Takes over on /take, after `gate` where there is one; answers everything else with its path."""

    def __init__(self) -> None:
        self.echoes: list[Echo] = []
        self.gate: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.taken = asyncio.Event()
        self.after: Callable[[Scope, Send], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.arrived.set()
        if self.gate is not None:
            await self.gate.wait()
        if scope["path"] != "/take":
            await answer(scope, send)
            return
        echo = Echo()
        taken: Taken = scope["extensions"][TAKEOVER](echo)
        echo.transport = taken.transport
        echo.transport.write(HEAD)
        if taken.early:
            echo.data_received(taken.early)
        self.echoes.append(echo)
        self.taken.set()
        if self.after is not None:
            await self.after(scope, send)


async def answer(scope: Scope, send: Send) -> None:
    body = scope["path"].encode()
    start: Message = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", str(len(body)).encode())],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def test_a_connection_that_is_not_taken_is_kept_alive() -> None:
    async with serving(App(), sock=listen("127.0.0.1", port=0)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in (b"/a", b"/b"):
            writer.write(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\n\r\n")

            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(2)

            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"server:" not in head
            assert body == path
        writer.close()


async def test_a_taken_connection_belongs_to_its_new_protocol() -> None:
    app = App()
    async with serving(app, sock=listen("127.0.0.1", port=0)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /take HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await reader.readexactly(len(HEAD)) == HEAD

        writer.write(b"one")
        assert await reader.readexactly(5) == b"<one>"
        writer.close()

        await asyncio.wait_for(app.echoes[0].lost.wait(), 5)
        assert app.echoes[0].losses == 1


async def test_bytes_behind_an_upgrade_request_reach_the_new_protocol() -> None:
    app = App()
    app.gate = asyncio.Event()
    async with serving(app, sock=listen("127.0.0.1", port=0)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /take HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\none")
        await asyncio.wait_for(app.arrived.wait(), 5)
        writer.write(b"two" * 40_000)  # more than is read ahead
        app.gate.set()

        got = await reader.readexactly(len(HEAD))
        echoed = b""
        while echoed.count(b"o") < 40_001:
            echoed += await asyncio.wait_for(reader.read(65_536), 5)

        assert got == HEAD
        assert echoed.replace(b"<", b"").replace(b">", b"") == b"one" + b"two" * 40_000
        writer.close()


async def test_an_upgrade_that_is_refused_closes_the_connection() -> None:
    async with serving(App(), sock=listen("127.0.0.1", port=0)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /no HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n")

        everything = await asyncio.wait_for(reader.read(), 5)

        assert everything.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close\r\n" in everything
        writer.close()


async def test_a_client_that_is_gone_before_the_takeover_is_lost_once() -> None:
    app = App()
    app.gate = asyncio.Event()
    async with serving(app, sock=listen("127.0.0.1", port=0)) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /take HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(app.arrived.wait(), 5)
        writer.transport.abort()
        _, other = await asyncio.open_connection("127.0.0.1", port)  # by now the server has seen the abort
        app.gate.set()

        async with asyncio.timeout(5):
            await app.taken.wait()
            await app.echoes[0].lost.wait()

        assert app.echoes[0].losses == 1
        other.close()


async def test_a_connection_cannot_be_taken_after_its_answer_began() -> None:
    raised: list[BaseException] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        await answer(scope, send)
        try:
            scope["extensions"][TAKEOVER](Echo())
        except RuntimeError as error:
            raised.append(error)

    async with serving(app, sock=listen("127.0.0.1", port=0)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert len(raised) == 1


async def test_the_server_keeps_nothing_of_a_taken_connection() -> None:
    app = App()
    kept: list[weakref.ref[object]] = []

    async def remember(_scope: Scope, send: Send) -> None:
        kept.append(weakref.ref(send.__self__))  # type: ignore[attr-defined]  # the request cycle's bound method

    app.after = remember
    gc.disable()
    try:
        async with serving(app, sock=listen("127.0.0.1", port=0)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /take HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readexactly(len(HEAD))
            writer.write(b"x")
            await reader.readexactly(3)

            assert kept[0]() is None  # without the garbage collector: no reference cycle is left behind
            writer.close()
            await app.echoes[0].lost.wait()
    finally:
        gc.enable()


async def test_stopping_drains_and_finishes_what_was_accepted() -> None:
    app = App()
    app.gate = asyncio.Event()
    drained: list[bool] = []

    async def drain() -> None:
        drained.append(True)
        assert app.gate is not None
        app.gate.set()

    async with serving(app, sock=listen("127.0.0.1", port=0), drain=drain) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(app.arrived.wait(), 5)

    everything = await asyncio.wait_for(reader.read(), 5)
    assert drained == [True]
    assert everything.endswith(b"/late")
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_two_processes_may_share_a_port() -> None:
    with listen("127.0.0.1", port=0, reuse_port=True) as one:
        with listen("127.0.0.1", port=one.getsockname()[1], reuse_port=True) as other:
            assert other.getsockname() == one.getsockname()
        one.listen()

        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", port=one.getsockname()[1])


async def test_a_request_that_does_not_finish_in_time_is_cut_and_not_answered_500() -> None:
    app = App()
    app.gate = asyncio.Event()

    async with serving(app, sock=listen("127.0.0.1", port=0), grace_s=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(app.arrived.wait(), 5)

    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
