"""The composition root: a gateway from the ports it works through.

`petit.gateway.__main__` gives it the real ones of a process of its own; whoever embeds it (`petit up`) gives it
those that it shares with the notifier: one feed, one mirror, one verifier.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx
from fastapi import FastAPI

from petit.contracts.ids import BEFORE_LOG
from petit.contracts.rpc import DoBatch
from petit.contracts.subjects import GATEWAY_DO, GATEWAY_QUEUE
from petit.gateway.adapters.accounts import KeycloakAccounts
from petit.gateway.adapters.chat import NatsChats
from petit.gateway.adapters.directory import KeycloakDirectory
from petit.gateway.adapters.keycloak import Keycloak, Realm
from petit.gateway.domain.addresses import networks
from petit.gateway.domain.idtime import FRESH_MS
from petit.gateway.handlers.commands import Commands, Proposals
from petit.gateway.handlers.creating import Creating
from petit.gateway.handlers.markers import Deliveries, Views
from petit.gateway.handlers.people import People
from petit.gateway.handlers.reads import Reads
from petit.gateway.handlers.sending import Sending
from petit.gateway.handlers.sessions import Sessions
from petit.gateway.handlers.standing import Standing
from petit.gateway.http.api import Handlers, api
from petit.gateway.http.compat import Counter
from petit.gateway.http.exchange import Door
from petit.gateway.http.front import Front
from petit.gateway.http.openapi import document
from petit.gateway.http.send import SendRoute
from petit.gateway.ports import (
    Accounts,
    Chats,
    Clock,
    Directory,
    Endings,
    Entry,
    Feed,
    Kind,
    Limits,
    Log,
    Mirror,
    Tickets,
    Tokens,
)
from petit.gateway.subscribers import Doing
from petit.kit.clock import SystemClock
from petit.kit.connection import Connection
from petit.kit.ids import signal_ids
from petit.kit.limits import MemoryLimits
from petit.kit.probes import Check, of_edge
from petit.kit.rpc import answer, serve
from petit.kit.serving import ASGI
from petit.kit.tickets import Tickets as NatsTickets

_FLUSH_S: Final = 1.0
"""Seconds that markers have to get out at the end."""
_BATCHES: Final = 64
"""Batches of WebSocket writes that are worked on at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """What a gateway needs of the issuer, beside the keys of its tokens."""

    directory: Directory
    accounts: Accounts
    endings: Endings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a gateway works through."""

    log: Log
    feed: Feed
    mirror: Mirror
    chats: Chats
    tokens: Tokens
    tickets: Tickets
    issuer: Issuer
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a deployment decides."""

    issuer: str = ""
    """The realm's URL, exactly as in tokens, for apps to find it; empty where none asks."""
    origins: frozenset[str] = frozenset()
    """Origins whose pages may read answers (CORS)."""
    secure_cookies: bool = False
    """The public origin is https."""
    writes_per_s: int = 5_000
    """For each person, in this process."""
    reads_per_s: int = 5_000
    """For each person, in this process."""
    sign_up: bool = True
    """Whether anybody may make an account here."""
    logins_per_s: int = 5
    """For each username, and for each address, in this process."""
    count_addresses: bool = True
    """Whether log-ins are counted by address; where everybody comes from one that says nothing."""
    trusted_proxies: tuple[str, ...] = ()
    """Our own, as addresses and CIDR blocks: only what they say in `X-Forwarded-For` is believed."""
    fresh_ms: int = FRESH_MS
    """See `domain.idtime`; smaller only where the log's dedupe window is."""


class Gateway:
    """A gateway, put together; serve `asgi` inside `running`."""

    def __init__(self, ports: Ports, options: Options, checks: Sequence[Check]) -> None:
        limits: dict[Kind, int] = {
            "writes": options.writes_per_s,
            "reads": options.reads_per_s,
            "logins": options.logins_per_s,
        }
        self._tokens = ports.tokens
        self._limits = MemoryLimits(limits, clock=ports.clock)
        handlers = _handlers(ports, options=options, limits=self._limits)
        self._views, self._deliveries, self._sessions = handlers.views, handlers.deliveries, handlers.sessions
        self._doing = Doing(
            sending=handlers.sending, views=handlers.views, deliveries=handlers.deliveries, limits=self._limits
        )
        self.readiness = of_edge(ports.feed, ports.log, clock=ports.clock, checks=checks)
        """What `/readyz` answers."""
        door = Door(ports.tokens, self._limits)
        self.api: FastAPI = api(
            handlers,
            door=door,
            feed=ports.feed,
            tickets=ports.tickets,
            clock=ports.clock,
            secure=options.secure_cookies,
            readiness=self.readiness,
        )
        """Every route but `send`; for the OpenAPI file."""
        sends = SendRoute(door, handlers.sending)
        self.asgi: ASGI = Front(self.api, sends=sends, limits=self._limits, origins=options.origins)
        """The application: everything under `/v1` that is not the notifier's, `/healthz` and `/readyz`."""

    def on_entry(self, entry: Entry) -> None:
        """Learn from an entry of the log; to be called by the feed, after the mirror."""
        self._tokens.revocations.learn(entry.subject, entry.payload)
        self._views.on_entry(entry)

    async def do(self, payload: bytes) -> bytes:
        """Answer a `DoBatch` of WebSocket writes with its `Done`, both as bytes."""
        return answer(await self._doing.do(DoBatch.model_validate_json(payload)), as_of=BEFORE_LOG)

    @asynccontextmanager
    async def running(self, nc: Connection | None = None) -> AsyncIterator[None]:
        """Do in the background what requests leave behind; at the end, finish it.

        Args:
            nc: Where WebSocket writes are taken from; None: nowhere.
        """
        service = (
            None if nc is None else await serve(nc, GATEWAY_DO, self._on_do, queue=GATEWAY_QUEUE, concurrency=_BATCHES)
        )
        tasks = [
            asyncio.create_task(work.run(), name=f"gateway.{work}")
            for work in (self._views, self._deliveries, self._sessions)
        ]
        try:
            yield
        finally:
            if service is not None:
                await service.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(TimeoutError):  # what is left is lost, as in a crash: the next marker makes up for it
                async with asyncio.timeout(_FLUSH_S):
                    await asyncio.gather(self._views.flush(), self._deliveries.flush())

    async def _on_do(self, _: str, payload: bytes) -> bytes:
        return await self.do(payload)


def gateway(ports: Ports, *, options: Options | None = None, checks: Sequence[Check] = ()) -> Gateway:
    """Return a gateway that works through the given ports. Opens nothing.

    Args:
        ports: What it works through.
        options: What a deployment decides.
        checks: What must be right, beside feed and clock, for it to be ready.
    """
    return Gateway(ports, Options() if options is None else options, checks)


def over_nats(
    nc: Connection, *, log: Log, feed: Feed, mirror: Mirror, tokens: Tokens, issuer: Issuer, clock: Clock
) -> Ports:
    """Return the ports of a gateway that asks chat, and keeps tickets, over a NATS connection."""
    return Ports(
        log=log,
        feed=feed,
        mirror=mirror,
        chats=NatsChats(nc),
        tokens=tokens,
        tickets=NatsTickets(nc),
        issuer=issuer,
        clock=clock,
    )


def keycloak(
    admin_url: str,
    *,
    client: str,
    secret: str,
    login_client: str,
    login_secret: str | None,
    http: httpx.AsyncClient,
    clock: Clock,
) -> Issuer:
    """Return a Keycloak realm as a gateway needs it.

    Args:
        admin_url: The realm's admin API: `http://keycloak:8080/admin/realms/petit`.
        client: A confidential client whose service account may view and manage users and view events.
        secret: That client's.
        login_client: The client for which people's passwords are looked at.
        login_secret: That client's; None where it is a public one.
        http: Does the requests.
        clock: Measures how long ago things were.
    """
    realm = Realm.at(admin_url, client=client, secret=secret, login_client=login_client, login_secret=login_secret)
    asked = Keycloak(realm, http=http, clock=clock)
    accounts = KeycloakAccounts(asked)
    return Issuer(directory=KeycloakDirectory(asked, clock=clock), accounts=accounts, endings=accounts)


def _handlers(ports: Ports, *, options: Options, limits: Limits) -> Handlers:
    new_id = signal_ids(ports.clock)
    standing = Standing(ports.mirror, ports.chats, ports.feed, ports.log)
    people = People(ports.issuer.directory)
    proposals = Proposals(chats=ports.chats, feed=ports.feed, clock=ports.clock, new_id=new_id)
    return Handlers(
        sending=Sending(
            log=ports.log,
            chats=ports.chats,
            feed=ports.feed,
            standing=standing,
            clock=ports.clock,
            new_id=new_id,
            fresh_ms=options.fresh_ms,
        ),
        creating=Creating(proposals=proposals, chats=ports.chats, people=people, fresh_ms=options.fresh_ms),
        commands=Commands(proposals=proposals, chats=ports.chats, mirror=ports.mirror, people=people),
        views=Views(log=ports.log, chats=ports.chats, standing=standing, clock=ports.clock, new_id=new_id),
        deliveries=Deliveries(chats=ports.chats, standing=standing),
        reads=Reads(ports.chats, people),
        sessions=Sessions(
            accounts=ports.issuer.accounts,
            watched=ports.issuer.endings,
            log=ports.log,
            tokens=ports.tokens,
            clock=ports.clock,
        ),
        issuer=options.issuer,
        sign_up=options.sign_up,
        counter=Counter(limits=limits, per_address=options.count_addresses, proxies=networks(options.trusted_proxies)),
    )


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the API. Nothing is connected: the routes are looked at, never called."""
    nowhere: Any = None
    ports = Ports(
        log=nowhere,
        feed=nowhere,
        mirror=nowhere,
        chats=nowhere,
        tokens=nowhere,
        tickets=nowhere,
        issuer=Issuer(directory=nowhere, accounts=nowhere, endings=nowhere),
        clock=SystemClock(),
    )
    return document(gateway(ports).api)
