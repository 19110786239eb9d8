"""A gateway as a process of its own: `python -m petit.gateway`, set up by the environment."""

import asyncio
from functools import partial

import httpx

from petit.gateway.app import Gateway, Options, gateway, keycloak, over_nats
from petit.gateway.settings import Settings
from petit.kit.auth import Policy, recall, verifying
from petit.kit.clock import SystemClock
from petit.kit.connection import connect
from petit.kit.feed import Feed
from petit.kit.log import Entry, Log
from petit.kit.mirror import Mirror, RpcSeeds
from petit.kit.process import process
from petit.kit.serving import serve
from petit.kit.tickets import Tickets


async def main(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ExceptionGroup: the feed ended: the log is lost or behind.
        Outage: NATS cannot be reached.
    """
    clock = SystemClock()
    policy = Policy(issuer=settings.issuer, inside=settings.issuer_url_inside, clients=settings.clients)
    async with (
        await connect(settings.nats, name="gateway") as nc,
        verifying(policy, clock=clock) as verifier,
        httpx.AsyncClient() as client,
        asyncio.TaskGroup() as tasks,
    ):
        log = Log(nc)
        await log.find(within=settings.bootstrap_wait_s)
        await Tickets(nc).find(within=settings.bootstrap_wait_s)
        built: list[Gateway] = []

        def deliver(entry: Entry) -> None:
            mirror.on_entry(entry)
            for one in built:
                one.on_entry(entry)

        feed = Feed(nc, deliver=deliver, after=None, name="gateway")
        mirror = Mirror(RpcSeeds(nc), position=lambda: feed.position)
        issuer = keycloak(
            settings.admin_url,
            client=settings.directory_client,
            secret=settings.directory_secret.get_secret_value(),
            login_client=settings.login_client,
            login_secret=None if settings.login_secret is None else settings.login_secret.get_secret_value(),
            http=client,
            clock=clock,
        )
        ports = over_nats(nc, log=log, feed=feed, mirror=mirror, tokens=verifier, issuer=issuer, clock=clock)
        edge = gateway(ports, options=_options(settings), checks=[verifier.unkeyed])
        built.append(edge)
        reading = tasks.create_task(feed.run(), name="feed")
        await feed.started()
        await recall(nc, verifier.revocations, name="gateway")
        async with edge.running(nc):
            leave = partial(edge.readiness.leave, after_s=settings.drain_s)
            await serve(edge.asgi, host=settings.host, port=settings.port, leave=leave)
        reading.cancel()
        await mirror.close()


def _options(settings: Settings) -> Options:
    return Options(
        issuer=settings.issuer,
        origins=settings.origins,
        secure_cookies=settings.secure_cookies,
        writes_per_s=settings.writes_per_s,
        reads_per_s=settings.reads_per_s,
        sign_up=settings.signup,
        logins_per_s=settings.logins_per_s,
        trusted_proxies=settings.trusted_proxies,
        fresh_ms=settings.fresh_ms,
    )


if __name__ == "__main__":
    process(main(Settings()))
