"""The composition root: a notifier from the feed, mirror and verifier that its process has.

`petit.notifier.__main__` makes them for a process of its own; whoever embeds it (`petit up`) shares them with
the gateway.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from nats.aio.msg import Msg
from starlette.types import Receive, Scope, Send

from petit.contracts.problems import Unavailable
from petit.contracts.subjects import ALL_DELIVERED, notifier_renew
from petit.kit.clock import Clock
from petit.kit.connection import Connection
from petit.kit.ids import signal_ids
from petit.kit.limits import MemoryLimits
from petit.kit.log import Entry
from petit.kit.mirror import Mirror
from petit.kit.rpc import serve
from petit.notifier.adapters.chats import NatsChats
from petit.notifier.adapters.edges import NatsGateway, NatsRenewals, NatsTickets
from petit.notifier.domain.people import CAPACITY, People
from petit.notifier.domain.ring import LIMIT_BYTES, Ring
from petit.notifier.handlers.backlogs import Backlogs
from petit.notifier.handlers.doings import Doings
from petit.notifier.handlers.hub import Hub
from petit.notifier.handlers.router import Router
from petit.notifier.http.answers import refusal, send_reply
from petit.notifier.http.app import Front, claims
from petit.notifier.ports import Log, Tokens
from petit.notifier.sockets.door import open_stream
from petit.notifier.subscribers import Subscribers

_INSTANCE_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a deployment decides."""

    origins: frozenset[str] = frozenset()
    """Origins whose pages may open streams: where the apps are served, this edge's own if it serves any."""
    ring_bytes: int = LIMIT_BYTES
    """How much of the recent past is kept for those who come back."""
    reads_per_s: int = 5_000
    """How many streams one person may open, renew or ask about per second."""
    known: int = CAPACITY
    """How many memberships of people who went are kept; see `domain.people.CAPACITY`."""


class Notifier:
    """A notifier, put together; serve `asgi` inside `running`.

    Args:
        nc: For requests; not the feed's, if that replays.
        feed: Has started before `running` is entered.
        mirror: Moved by this notifier, once per entry: nobody else calls its `on_entry`.
    """

    def __init__(
        self, nc: Connection, *, feed: Log, mirror: Mirror, tokens: Tokens, clock: Clock, options: Options
    ) -> None:
        self._nc = nc
        self._feed = feed
        self._tokens = tokens
        self._clock = clock
        self._options = options
        self._router = Router(
            mirror, people=People(capacity=options.known), ring=Ring(limit=options.ring_bytes), log=feed
        )
        self._hub: Hub | None = None
        self._front: Front | None = None

    claims = staticmethod(claims)

    def on_entry(self, entry: Entry) -> None:
        """Take the next entry of the log; to be called by the feed, once for each, in order."""
        revoked = self._tokens.revocations.learn(entry.subject, entry.payload)
        if self._hub is None:
            self._router.route(entry)
            return
        self._hub.on_entry(entry)
        if revoked is not None:
            self._hub.revoke(revoked.person, session=revoked.data.session)

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what `claims` names; everything else is 404."""
        if self._front is None:
            await send_reply(
                refusal(Unavailable("the live edge is not running")), send, also=[], bodiless=scope["method"] == "HEAD"
            )
        else:
            await self._front(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep connections until the block ends; they should be gone by then, see `drain`.

        Raises:
            ExceptionGroup: of what went wrong in the background: bugs.
        """
        instance = secrets.token_hex(_INSTANCE_BYTES)
        async with asyncio.TaskGroup() as group:
            tasks: set[asyncio.Task[None]] = set()

            def spawn(work: Coroutine[Any, Any, None]) -> None:
                task = group.create_task(work)
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            backlogs = Backlogs(NatsChats(self._nc), router=self._router)
            hub = Hub(self._router, backlogs=backlogs, clock=self._clock, instance=instance, spawn=spawn)
            limits = MemoryLimits({"reads": self._options.reads_per_s}, clock=self._clock)
            gateway = NatsGateway(self._nc)
            doings = Doings(
                hub,
                gateway=gateway,
                tokens=self._tokens,
                limits=limits,
                new_id=signal_ids(self._clock),
                spawn=spawn,
            )
            self._router.begin()
            self._hub = hub
            self._front = Front(
                log=self._feed,
                tokens=self._tokens,
                tickets=NatsTickets(self._nc),
                renewals=NatsRenewals(self._nc, instance=instance, here=hub.renew),
                door=partial(open_stream, hub=hub, doings=doings),
                limits=limits,
                origins=self._options.origins,
                clock=self._clock,
            )
            spawn(hub.run())
            async with self._subscribed(Subscribers(hub), instance=instance):
                try:
                    yield
                finally:
                    await self.drain()
            for task in tasks:
                task.cancel()
            await backlogs.close()

    async def drain(self) -> None:
        """Say goodbye to everybody, to be resumed elsewhere; new streams are sent away as well. Bounded."""
        self._front = None
        if self._hub is not None:
            await self._hub.drain()

    @asynccontextmanager
    async def _subscribed(self, subscribers: Subscribers, *, instance: str) -> AsyncIterator[None]:
        async def on_delivered(msg: Msg) -> None:
            subscribers.on_delivered(msg.data)

        renewals = await serve(self._nc, notifier_renew(instance), subscribers.on_renew)
        notes = await self._nc.subscribe(ALL_DELIVERED, cb=on_delivered)
        try:
            yield
        finally:
            await renewals.stop()
            if self._nc.is_connected:
                await notes.unsubscribe()


def notifier(
    nc: Connection, *, feed: Log, mirror: Mirror, tokens: Tokens, clock: Clock, options: Options | None = None
) -> Notifier:
    """Return a notifier that asks chat, gateways and other notifiers over a NATS connection. Opens nothing."""
    return Notifier(nc, feed=feed, mirror=mirror, tokens=tokens, clock=clock, options=options or Options())
