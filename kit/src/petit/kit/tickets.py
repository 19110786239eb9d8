"""Tickets: a word that stands for something, once, for half a minute.

A ticket opens a stream where no `Authorization` header can be sent. It is kept in a bucket in memory that
forgets after the time to live, under its hash, so that who can list the bucket cannot use what is in it.
It is redeemed by compare-and-set: of two who come with the same ticket, on any two replicas, one wins.
"""

import hashlib
import secrets
from typing import Final

from petit.kit.connection import Connection
from petit.kit.kv import ABSENT, Bucket, BucketConfig

TTL_S: Final = 30.0
_BUCKET: Final = "TICKETS"
_BYTES: Final = 24
_MAX_BYTES: Final = 64 * 1024 * 1024
_MAX_TEXT: Final = 64
_USED: Final = b""


def tickets_bucket(*, ttl: float = TTL_S, replicas: int = 1, in_memory: bool = True) -> BucketConfig:
    """Return what the bucket is."""
    return BucketConfig(name=_BUCKET, ttl=ttl, in_memory=in_memory, replicas=replicas, max_bytes=_MAX_BYTES)


class Tickets:
    """Issues and redeems tickets. Every method raises `Outage` when NATS cannot be asked.

    Args:
        ttl: Seconds that a ticket is good for.
    """

    def __init__(self, nc: Connection, *, ttl: float = TTL_S) -> None:
        self._bucket = Bucket(nc, tickets_bucket(ttl=ttl))

    async def bootstrap(self) -> None:
        """Make the bucket unless it is there."""
        await self._bucket.bootstrap()

    async def find(self, *, within: float) -> None:
        """Wait for the bucket. See `Bucket.find`."""
        await self._bucket.find(within=within)

    async def issue(self, value: bytes) -> str:
        """Return a new ticket, 32 characters of `[A-Za-z0-9_-]`, for a value that is not empty.

        Raises:
            ValueError: the value is empty.
            Outage: also when too many tickets are out.
        """
        if value == _USED:
            raise ValueError("a ticket stands for something")
        ticket = secrets.token_urlsafe(_BYTES)
        await self._bucket.swap(_key(ticket), value, revision=ABSENT)
        return ticket

    async def redeem(self, ticket: str) -> bytes | None:
        """Return what the ticket stands for, once; None if it is used, late or not ours."""
        if len(ticket) > _MAX_TEXT:
            return None
        key = _key(ticket)
        held = await self._bucket.get(key)
        if held is None or held.value == _USED:
            return None
        if await self._bucket.swap(key, _USED, revision=held.revision) is None:
            return None
        return held.value


def _key(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
