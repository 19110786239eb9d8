"""What has to be there before any service of the real stack starts: the log, and the buckets beside it.

Services may not make streams (`deploy/nats/nats.conf`), so that none of them can throw away or redirect what others
rely on. One job makes all of them, with as many replicas as it is told, and changes that number later; running
it again, or twice at once, does nothing more. `petit up`, where one token may do everything, does without.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from petit.contracts.cursor import NOWHERE, Cursor
from petit.kit.connection import Connection
from petit.kit.errors import LogFault, Outage
from petit.kit.jetstream import STALE_S
from petit.kit.kv import Bucket, BucketConfig
from petit.kit.leases import leases_bucket
from petit.kit.log import Log, memory_bucket
from petit.kit.stream import LogConfig, LogInfo
from petit.kit.tickets import tickets_bucket

_PAUSE_S: Final = 0.5
_SURE_S: Final = 5.0
"""For how long the log of a lone server must be gone or behind until we believe it; of a cluster `STALE_S`."""


def buckets(*, replicas: int) -> tuple[BucketConfig, ...]:
    """Return every bucket of an installation.

    What may be forgotten is kept in memory only where there are several replicas: a lone server that starts again has
    forgotten the bucket itself, and nobody but this job could make it.
    """
    in_memory = replicas > 1
    return (
        memory_bucket(replicas=replicas),
        tickets_bucket(replicas=replicas, in_memory=in_memory),
        leases_bucket(replicas=replicas, in_memory=in_memory),
    )


async def bootstrap(
    nc: Connection,
    *,
    config: LogConfig,
    within: float,
    say: Callable[[str], None],
    known: Cursor = NOWHERE,
) -> LogInfo:
    """Make what is not there, and bring the number of replicas in line; wait for servers that are not up yet.

    Args:
        config: What the log is made as; the buckets have as many replicas.
        within: Seconds to wait for the servers.
        say: Told what is waited for, once for each reason.
        known: Up to where a read model has seen the log: one that is behind is not made anew.

    Raises:
        LogFault: the log was there and is gone, behind or damaged; nothing was made in its place.
        Outage: the servers did not do it in time.
    """
    deadline = time.monotonic() + within
    sure_s = STALE_S if config.replicas > 1 else _SURE_S
    faulty_since = math.inf
    said = ""
    while True:
        try:
            for bucket in buckets(replicas=config.replicas):
                await Bucket(nc, bucket).bootstrap()
            return await Log(nc, config=config).bootstrap(known_epoch=known.epoch, known_offset=known.offset)
        except (Outage, LogFault) as error:
            now = time.monotonic()
            faulty_since = min(faulty_since, now) if isinstance(error, LogFault) else math.inf
            if now > min(deadline, faulty_since + sure_s):
                raise
            why = error.detail if isinstance(error, Outage) else str(error)
            if why != said:
                said = why
                say(f"waiting: {why}")
        await asyncio.sleep(_PAUSE_S)
