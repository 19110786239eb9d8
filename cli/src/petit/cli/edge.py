"""An edge of `petit up`: gateway, notifier, development issuer and page, on one port.

They share one connection, one feed, one mirror and one verifier: what they learn, they learn once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
from starlette.types import Receive, Scope, Send

from petit.cli.issuer import Settings as IssuerSettings
from petit.cli.issuer import issuer
from petit.cli.page import page
from petit.cli.place import HOST, Place
from petit.cli.settings import LocalSettings
from petit.gateway.app import Options, gateway, keycloak, over_nats
from petit.kit.auth import Policy, recall, verifying
from petit.kit.clock import SystemClock
from petit.kit.connection import connect
from petit.kit.feed import Feed
from petit.kit.log import Entry, Log
from petit.kit.mirror import Mirror, RpcSeeds
from petit.kit.serving import ASGI, listen, serving
from petit.kit.tickets import Tickets
from petit.notifier.app import Notifier, notifier
from petit.notifier.app import Options as LiveOptions

REALM: Final = "/realms/petit"
_ADMIN: Final = "/admin/realms/petit"
CLIENT: Final = "petit-web"
_SERVICE: Final = "petit-gateway"
_ISSUER_PATHS: Final = ("/realms/", "/admin/realms/")
_PAGE: Final = "/"
_PAGE_FILES: Final = "/page/"
_GRACE_S: Final = 4.0


@asynccontextmanager
async def edge(place: Place) -> AsyncIterator[None]:
    """Serve until the block ends.

    Raises:
        ExceptionGroup: of `LogFault`: the log is lost or behind.
        Outage: the log server cannot be reached.
        Unusable: the issuer's data is damaged.
    """
    settings, clock = place.settings, place.clock
    realm = Policy(issuer=place.url + REALM, clients=frozenset({CLIENT}))
    with issuer(place.data.root, base_url=place.url, settings=_issuer_settings(settings)) as log_in:
        async with (
            await connect(place.nats, name=place.name) as nc,
            verifying(realm, clock=SystemClock()) as verifier,
            httpx.AsyncClient(transport=httpx.ASGITransport(app=log_in)) as http,
            asyncio.TaskGroup() as tasks,
        ):
            log = Log(nc, config=place.log)
            await log.bootstrap()
            await Tickets(nc).bootstrap()

            def deliver(entry: Entry) -> None:
                live.on_entry(entry)  # and the mirror: it needs what the mirror makes of it
                front.on_entry(entry)

            feed = Feed(nc, deliver=deliver, after=None, name=place.name)
            mirror = Mirror(RpcSeeds(nc), position=lambda: feed.position)
            people = keycloak(
                place.url + _ADMIN,
                client=_SERVICE,
                secret=(place.data.root / "issuer" / "gateway.secret").read_text().strip(),
                login_client=CLIENT,
                login_secret=None,
                http=http,
                clock=clock,
            )
            ports = over_nats(nc, log=log, feed=feed, mirror=mirror, tokens=verifier, issuer=people, clock=clock)
            front = gateway(ports, options=_options(settings, issuer=realm.issuer))
            live = notifier(
                nc,
                feed=feed,
                mirror=mirror,
                tokens=verifier,
                clock=clock,
                options=LiveOptions(origins=settings.origins | place.origins, reads_per_s=settings.reads_per_s),
            )

            reading = tasks.create_task(feed.run(), name="feed")
            await feed.started()
            await recall(nc, verifier.revocations, name=place.name)
            app = by_path(live=live, issuer=log_in, page=page(issuer=place.url), gateway=front.asgi)
            async with front.running(nc), live.running():
                sock = listen(HOST, port=place.port, reuse_port=True)
                async with serving(app, sock=sock, grace_s=_GRACE_S, drain=live.drain):
                    yield
            reading.cancel()
            await mirror.close()


def by_path(*, live: Notifier, issuer: ASGI, page: ASGI, gateway: ASGI) -> ASGI:
    """Return the application of one origin: each request goes to the part that its path belongs to."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if live.claims(path):
            await live.asgi(scope, receive, send)
        elif path.startswith(_ISSUER_PATHS):
            await issuer(scope, receive, send)
        elif path == _PAGE or path.startswith(_PAGE_FILES):
            await page(scope, receive, send)
        else:
            await gateway(scope, receive, send)

    return app


def _issuer_settings(settings: LocalSettings) -> IssuerSettings:
    return IssuerSettings(token_s=settings.token_s, session_s=settings.session_s, logins_per_s=settings.logins_per_s)


def _options(settings: LocalSettings, *, issuer: str) -> Options:
    return Options(
        issuer=issuer,
        origins=settings.origins,
        secure_cookies=False,
        writes_per_s=settings.writes_per_s,
        reads_per_s=settings.reads_per_s,
        logins_per_s=max(1, round(settings.logins_per_s)),
        count_addresses=False,
        fresh_ms=settings.fresh_ms,
    )
