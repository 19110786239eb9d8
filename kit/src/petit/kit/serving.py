"""How a process serves HTTP: uvicorn on uvloop, and a way for a route to take the connection over.

An HTTP server spends a task, a request cycle and several kilobytes on every connection that it answers.
A live stream needs none of them: once the route has authenticated its caller, it takes the TCP transport
from the server (ASGI scope extension `petit.takeover`), which forgets the connection, and writes to it
directly. Everything else is plain ASGI.

There is no ASGI lifespan: the composition root opens what it needs, serves inside, and closes it again.
"""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple, Protocol

import httptools
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI 3 application."""
TAKEOVER: Final = "petit.takeover"
"""The name of the ASGI scope extension: `scope["extensions"][TAKEOVER]` is a `Takeover`."""

BACKLOG: Final = 4_096
"""Connections that the kernel holds while we are busy: a storm of reconnects must not be refused."""
KEEP_ALIVE_S: Final = 65
"""Longer than the 60 s after which most load balancers let go of an idle connection themselves."""
_COLLECT_AFTER: Final = (10_000, 10, 1_000)
"""For the garbage collector: containers that came and did not go, times that, times that."""
EARLY_BYTES: Final = 65_536
"""What a client may send behind an upgrade request before it is answered; then reading pauses."""


class Taken(NamedTuple):
    """A connection that was taken over."""

    transport: asyncio.Transport
    early: bytes
    """What the client sent behind an upgrade request; usually empty. It precedes all `data_received`."""


class Takeover(Protocol):
    """Takes a connection away from the HTTP server."""

    def __call__(self, protocol: asyncio.Protocol) -> Taken:
        """Make `protocol` the owner of the connection; the route writes its own answer and returns.

        Nothing of a response may have been sent. `protocol` gets no `connection_made`, and
        `connection_lost` exactly once, also if the client is gone already.

        Raises:
            RuntimeError: the response has begun, or the connection was taken before.
        """
        ...


class TakeoverProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1 protocol, whose connection a route can take over.

    An `Upgrade` is an ordinary request here: the route takes over, or refuses it with an ordinary answer
    and the connection closes (what follows the request is not HTTP any more).
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._early: bytearray | None = None
        self._lost = False

    def on_message_begin(self) -> None:
        """Begin a request; its scope offers the takeover."""
        super().on_message_begin()
        extensions: Any = {TAKEOVER: self._take}  # uvicorn types it as mappings only
        self.scope["extensions"] = extensions

    def data_received(self, data: bytes) -> None:
        """Parse; behind an upgrade request, keep the bytes for whoever takes over."""
        if self._early is not None:
            self._keep(data)
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.cycle.keep_alive = False
            self._early = bytearray()
            self._keep(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and the scope that refers back to it."""
        self._lost = True
        super().connection_lost(exc)
        self.scope = None  # type: ignore[assignment]  # as uvicorn starts with

    def _keep(self, data: bytes) -> None:
        assert self._early is not None  # noqa: S101 - narrows the type
        self._early += data
        if len(self._early) > EARLY_BYTES:
            self.flow.pause_reading()

    def _take(self, protocol: asyncio.Protocol) -> Taken:
        cycle, taken = self.cycle, Taken(self.transport, bytes(self._early or b""))
        if cycle is None or cycle.response_started:  # type: ignore[redundant-expr]  # uvicorn starts with None
            raise RuntimeError("the connection cannot be taken over: its response has begun")
        cycle.response_started = cycle.response_complete = cycle.disconnected = True
        cycle.on_response = lambda: None
        self.connections.discard(self)
        self.server_state.total_requests += 1
        self.pipeline.clear()
        self.scope = self.cycle = self.parser = None  # type: ignore[assignment]  # breaks the reference cycles
        if self._lost:
            self.loop.call_soon(protocol.connection_lost, None)
            return taken
        self.transport.set_protocol(protocol)
        self.flow.resume_reading()
        return taken


def listen(host: str, *, port: int, reuse_port: bool = False) -> socket.socket:
    """Bind a TCP socket without listening yet; port 0 picks a free one.

    Args:
        reuse_port: Several processes bind the same port and the kernel spreads connections over them.

    Raises:
        OSError: the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


@asynccontextmanager
async def serving(
    app: ASGI,
    *,
    sock: socket.socket,
    grace_s: float = 5.0,
    drain: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[int]:
    """Serve an application on a bound socket while the block runs; yields the port.

    On the way out it stops accepting, awaits `drain` (where taken connections are said goodbye), lets
    running requests finish, and cuts those that do not within `grace_s` seconds.

    Raises:
        OSError: the socket cannot listen.
    """
    config = uvicorn.Config(
        _cut_where_cancelled(app),
        http=TakeoverProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody reads the address, and the wrapper costs each request
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(grace_s)),
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    port: int = sock.getsockname()[1]
    await server.startup(sockets=[sock])
    ticking = asyncio.create_task(server.main_loop(), name="serving.tick")  # keeps the Date header true
    try:
        yield port
    finally:
        server.should_exit = True
        for listener in server.servers:
            listener.close()
        if drain is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await drain()
        await server.shutdown(sockets=[sock])
        await ticking


def _cut_where_cancelled(app: ASGI) -> ASGI:
    """Return an application that answers nothing where it is stopped in the middle of a request.

    The request may have been carried out or not. A cut says so, and whoever asked asks again; uvicorn's 500 would not.
    """

    async def cut(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            with suppress(RuntimeError):  # the response has begun: uvicorn cuts it
                scope["extensions"][TAKEOVER](asyncio.Protocol()).transport.abort()

    return cut


async def stop_requested() -> signal.Signals:
    """Wait for SIGINT or SIGTERM and say which came; a second one then has its usual effect."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        if not stop.done():
            stop.set_result(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        return await stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def serve(
    app: ASGI,
    *,
    host: str,
    port: int,
    grace_s: float = 5.0,
    leave: Callable[[], Awaitable[None]] | None = None,
    drain: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve an application until SIGINT or SIGTERM: `listen`, then `serving`.

    Args:
        leave: Awaited after the signal, while everything is still served: tells others to come here no more.
        drain: See `serving`.

    Raises:
        OSError: the address is taken or not ours.
    """
    sock = listen(host, port=port)
    async with serving(app, sock=sock, grace_s=grace_s, drain=drain):
        await stop_requested()
        if leave is not None:
            await leave()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main coroutine on uvloop until it returns.

    What is loaded by now stays, so the garbage collector passes over it from here on. What comes is mostly kept or
    gone by its own count: the collector looks at it seldom, because a look at all of it stops everybody for as long.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
