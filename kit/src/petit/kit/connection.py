"""A connection to NATS that never sends late.

A publish that was given up must not be written when the network comes back minutes later: the log would
store it although its sender was told that it was not, and outside the window in which the log knows
duplicates. nats-py keeps such writes in three places, and all three are emptied here when a connection
breaks: its own buffer while disconnected (off: `pending_size=0`), commands not flushed yet, and what the
transport has not sent (the socket is reset instead of closed). A server that stopped answering is noticed by
pings within 30 s, earlier by whoever waits for an answer: see `Connection.assure`. It is left for another one, if
there is another one.

Use one connection for requests and another for each feed that may replay much, so that answers do not
wait behind history.
"""

import asyncio
import random
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

import structlog
from nats import errors as nats_errors
from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.protocol.parser import PERMISSIONS_ERR, STALE_CONNECTION

from petit.kit.access import Access
from petit.kit.errors import Unreached
from petit.kit.replies import Replies
from petit.kit.transport import DirectTransport
from petit.kit.wire import DirectHandler, Parser

_PING_INTERVAL_S: Final = 10
_PINGS_OUTSTANDING: Final = 2
_CONNECT_TIMEOUT_S: Final = 2
_CLOSE_TIMEOUT_S: Final = 2.0
_CANCEL_S: Final = 0.1
_PONG_S: Final = 0.5
"""Of a server that is well, busy or far; one that needs longer is left for another."""
_RECONNECT_WAIT_S: Final = (0.04, 0.12)
"""Least and most, so that a fleet does not come back in step."""

_NO_SUBJECT: Final = re.compile(r"[ \t\r\n]")

_log = structlog.get_logger(__name__)

Listener = Callable[[], None]


class Connection(Client):
    """A nats-py client with a mux for replies and listeners for breaks. Made by `connect`."""

    def __init__(self, *, only_tls: bool = False) -> None:
        super().__init__()
        self._direct: dict[int, DirectHandler] = {}
        parser = Parser(self, self._direct)
        self._ps = parser  # type: ignore[assignment]  # in the place of nats-py's
        self._wire = DirectTransport(parser, is_closing=lambda: self.is_closed, only_tls=only_tls)
        self._transport = self._wire
        self._loop = asyncio.get_running_loop()
        self._flushing = False
        self._broken: list[Listener] = []
        self._restored: list[Listener] = []
        self._replies: Replies | None = None
        self._assuring: asyncio.Task[None] | None = None

    @property
    def replies(self) -> Replies:
        """Requests that wait for answers on this connection.

        Raises:
            Unreached: `connect` has not finished.
        """
        if self._replies is None:
            raise Unreached("not connected to NATS yet")
        return self._replies

    def write(self, subject: str, payload: bytes, *, reply: str = "", header: bytes = b"") -> None:
        """Send a message at the end of this turn of the loop, together with all others of it, or never.

        It waits for nothing: whoever writes much waits for answers in between.

        Args:
            header: A whole block, as `NATS/1.0`, lines, and an empty line.

        Raises:
            Unreached: not connected; nothing will be sent.
            ValueError: the subject is none, or the message larger than the server takes.
        """
        if not self.is_connected:
            raise Unreached(f"{subject}: not connected to NATS")
        if _NO_SUBJECT.search(subject) or _NO_SUBJECT.search(reply) or not subject:
            raise ValueError(f"{subject!r} or {reply!r} is no subject")
        size = len(header) + len(payload)
        if size > self._max_payload:
            raise ValueError(f"{subject}: a message of {size} bytes is larger than NATS takes, {self._max_payload}")
        sizes = f"{len(header)} {size}" if header else str(size)
        line = f"{'HPUB' if header else 'PUB'} {subject} {reply} {sizes}\r\n"
        self._pending.append(b"".join((line.encode(), header, payload, b"\r\n")))
        self._pending_data_size += len(self._pending[-1])
        self.stats["out_msgs"] += 1
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_now)

    async def listen(self, subject: str, handler: DirectHandler, *, queue: str = "") -> "Listening":
        """Give every message on a subject to a plain function, as bytes, on the loop; also after reconnects."""
        subscription = await self.subscribe(subject, queue=queue, cb=_never)
        self._direct[subscription._id] = handler  # noqa: SLF001 - the id that the server sends with each message
        return Listening(self, subscription)

    def on_disconnected(self, listener: Listener) -> Callable[[], None]:
        """Call the listener whenever the connection breaks; return what stops that."""
        return _listen(self._broken, listener)

    def on_reconnected(self, listener: Listener) -> Callable[[], None]:
        """Call the listener whenever the connection is back, subscriptions included; return what stops that."""
        return _listen(self._restored, listener)

    async def assure(self) -> None:
        """Break the connection, and build it again elsewhere, unless the server answers a ping within half a second.

        For whoever has waited for an answer in vain: a frozen server's kernel still takes what we write. What waits in
        our buffers is thrown away with the connection, so that nothing that was given up is written later.
        """
        if not self.is_connected:
            return
        if self._assuring is None or self._assuring.done():
            self._assuring = asyncio.create_task(self._assure(), name="nats.assure")
        await asyncio.shield(self._assuring)

    async def leave(self) -> None:
        """Break the connection, and build it again elsewhere, if there is elsewhere.

        For whoever has waited long for an answer from behind this server, which itself answers pings: perhaps it does
        not reach the others.
        """
        if self.is_connected and len(self._server_pool) > 1:
            _log.warning("nats.left", name=self.options["name"], url=_address(self))
            await self.force_reconnect()

    async def close(self) -> None:
        """Send what is pending, bounded by two seconds, and close for good."""
        if self._assuring is not None:
            self._assuring.cancel()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await super().close()
        except TimeoutError:
            self._wire.reset()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _assure(self) -> None:
        pong: asyncio.Future[bool] = self._loop.create_future()
        try:
            await self._send_ping(pong)
        except OSError:
            return  # it breaks by itself
        done, _ = await asyncio.wait({pong}, timeout=_PONG_S)  # never cancelled: nats-py would stumble over it
        if not done and self.is_connected:
            _log.warning("nats.silent", name=self.options["name"], url=_address(self), unsent_bytes=self._wire.unsent())
            await self.force_reconnect()

    def _next_server(self, servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        """Choose where to connect next, and after how many seconds: not where we were last, if there is elsewhere."""
        last = self._current_server.uri.netloc if self._current_server is not None else ""
        others = [server for server in servers if server.uri.netloc != last]
        wait_s = random.uniform(*_RECONNECT_WAIT_S)  # noqa: S311 - spreads load, keeps no secret
        return random.choice(others or servers), wait_s  # noqa: S311 - likewise

    async def _stop_listening(self, subscription: Subscription, *, within: int) -> None:
        if not within:
            self._direct.pop(subscription._id, None)  # noqa: SLF001 - likewise
        try:
            if not self.is_closed and not self.is_draining:
                await subscription.unsubscribe()  # also while the connection is broken: it would come back with it
                if within and self.is_connected:
                    with suppress(nats_errors.Error):  # what the server sent before it knew has come by then
                        await self.flush(timeout=within)
        finally:
            self._direct.pop(subscription._id, None)  # noqa: SLF001 - likewise

    def _flush_now(self) -> None:
        self._flushing = False
        if self._pending and self.is_connected:
            pending, self._pending = self._pending, []
            self._pending_data_size = 0
            self._wire.writelines(pending)

    async def _process_err(self, err_msg: str) -> None:
        # nats-py closes for good on whatever it does not know, as "maximum connections exceeded". A process that
        # lives for weeks tries again.
        if PERMISSIONS_ERR in err_msg or STALE_CONNECTION in err_msg:
            await super()._process_err(err_msg)
            return
        error = nats_errors.Error(f"nats: {err_msg}")
        await self._error_cb(error)
        await self._process_op_err(error)

    async def _start_replies(self) -> None:
        replies = Replies(self)
        await replies.start()
        self._replies = replies

    async def _on_broken(self) -> None:
        if self.is_closed:
            return
        self._pending.clear()
        self._pending_data_size = 0
        _log.warning("nats.disconnected", name=self.options["name"])
        if self._replies is not None:
            self._replies.abandon()
        for listener in tuple(self._broken):
            listener()

    async def _on_restored(self) -> None:
        _log.info("nats.reconnected", name=self.options["name"], url=_address(self))
        for listener in tuple(self._restored):
            listener()


class Listening:
    """A direct subscription; made by `Connection.listen`."""

    def __init__(self, nc: Connection, subscription: Subscription) -> None:
        self._nc = nc
        self._subscription: Subscription | None = subscription

    async def stop(self, *, within: int = 0) -> None:
        """Listen no more; twice is once.

        Args:
            within: Seconds that the server may take to confirm it. Until then what it had sent is still heard; with
                0 nothing is heard from now on.
        """
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await self._nc._stop_listening(subscription, within=within)  # noqa: SLF001 - ours


async def connect(
    access: Access,
    *,
    name: str,
    within: float = 10.0,
    on_closed: Listener | None = None,
) -> Connection:
    """Connect to NATS and stay connected.

    Args:
        access: Where, and as whom.
        name: Shown by the server's monitoring.
        within: Seconds until the first connection must stand; later ones are tried for ever.
        on_closed: Called when the connection is over for good: closed by us.

    Raises:
        Unreached: no server took us in time.
        OSError: the authority's certificate cannot be read.
    """
    tls = access.tls()
    nc = Connection(only_tls=tls is not None)
    said = ""

    async def closed() -> None:
        _log.info("nats.closed", name=name)
        if on_closed is not None:
            on_closed()

    async def failed(error: Exception) -> None:
        nonlocal said
        if repr(error) != said:  # an attempt to connect every tenth of a second fails for one reason
            said = repr(error)
            _log.warning("nats.failed", name=name, error=said)

    async def broken() -> None:
        await nc._on_broken()  # noqa: SLF001 - ours; nats-py wants coroutine functions, not bound to a class

    async def restored() -> None:
        nonlocal said
        said = ""
        await nc._on_restored()  # noqa: SLF001 - likewise

    connecting = asyncio.create_task(
        nc.connect(
            servers=access.servers,
            name=name,
            user=access.user,
            password=access.password,
            token=access.token,
            tls=tls,
            inbox_prefix=access.inbox_prefix,
            pending_size=0,
            ping_interval=_PING_INTERVAL_S,
            max_outstanding_pings=_PINGS_OUTSTANDING,
            max_reconnect_attempts=-1,
            connect_timeout=_CONNECT_TIMEOUT_S,
            reconnect_time_wait=0.1,  # type: ignore[arg-type]  # seconds; nats-py only sleeps them
            reconnect_to_server_handler=nc._next_server,  # noqa: SLF001 - ours
            error_cb=failed,
            disconnected_cb=broken,
            reconnected_cb=restored,
            closed_cb=closed,
        ),
        name="nats.connect",
    )
    try:
        done, _ = await asyncio.wait({connecting}, timeout=within)
    finally:
        while not connecting.done():  # again and again: `wait_for` of Python 3.11, in nats-py, may lose a cancellation
            connecting.cancel()
            await asyncio.wait({connecting}, timeout=_CANCEL_S)
    if not done:
        if not connecting.cancelled():
            connecting.exception()  # why it ended in the end; `last_error` says more
        await nc.close()
        raise Unreached(f"no NATS server at {access.url} took us within {within:.0f} s: {nc.last_error!r}")
    await connecting
    await nc._start_replies()  # noqa: SLF001 - ours
    return nc


async def _never(msg: Msg) -> None:
    """Stand in for a handler where nats-py wants one; the parser has given the message away."""


def _listen(listeners: list[Listener], listener: Listener) -> Callable[[], None]:
    listeners.append(listener)
    return lambda: listeners.remove(listener)


def _address(nc: Client) -> str:
    url = nc.connected_url
    return url.netloc.rpartition("@")[2] if url is not None else ""
