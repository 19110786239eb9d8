"""A notifier as a process of its own: `python -m petit.notifier`, set up by the environment."""

import asyncio
from functools import partial

from petit.kit.auth import Policy, recall, verifying
from petit.kit.clock import SystemClock
from petit.kit.connection import connect
from petit.kit.feed import Feed
from petit.kit.log import Entry, Log
from petit.kit.mirror import Mirror, RpcSeeds
from petit.kit.probes import of_edge, with_probes
from petit.kit.process import process
from petit.kit.serving import serve
from petit.kit.tickets import Tickets
from petit.notifier.app import Options, notifier
from petit.notifier.settings import Settings


async def main(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ExceptionGroup: the feed ended: the log is lost or behind.
        Outage: NATS cannot be reached.
    """
    clock = SystemClock()
    policy = Policy(issuer=settings.issuer, inside=settings.issuer_url_inside, clients=settings.clients)
    async with (
        await connect(settings.nats, name="notifier") as nc,
        verifying(policy, clock=clock) as verifier,
        asyncio.TaskGroup() as tasks,
    ):
        log = Log(nc)
        await log.find(within=settings.bootstrap_wait_s)
        await Tickets(nc).find(within=settings.bootstrap_wait_s)

        def deliver(entry: Entry) -> None:
            edge.on_entry(entry)

        feed = Feed(nc, deliver=deliver, after=None, name="notifier")
        mirror = Mirror(RpcSeeds(nc), position=lambda: feed.position)
        options = Options(origins=settings.origins, ring_bytes=settings.ring_bytes, reads_per_s=settings.reads_per_s)
        edge = notifier(nc, feed=feed, mirror=mirror, tokens=verifier, clock=clock, options=options)
        reading = tasks.create_task(feed.run(), name="feed")
        await feed.started()
        await recall(nc, verifier.revocations, name="notifier")
        async with edge.running():
            readiness = of_edge(feed, log, clock=clock, checks=[verifier.unkeyed])
            app = with_probes(edge.asgi, readiness)
            leave = partial(readiness.leave, after_s=settings.drain_s)
            await serve(app, host=settings.host, port=settings.port, leave=leave, drain=edge.drain)
        reading.cancel()
        await mirror.close()


if __name__ == "__main__":
    process(main(Settings()))
