"""Key-value buckets, as far as leases, tickets and the log's memory need them.

A bucket is a stream named `KV_<bucket>` with one entry per key (ADR-8 of NATS), so other NATS tools can
read it. What is written here goes beyond nats-py's: reads come from the leader, and a swap says who was
first instead of guessing from delete markers. There are no delete markers: what must go is left to
the bucket's time to live, or swapped for an empty value.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from petit.kit.connection import Connection
from petit.kit.errors import BOOTSTRAP, Unmade
from petit.kit.jetstream import NANOSECONDS, WITHIN_S, JetStream, Rejected

_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_DUPLICATES_S: Final = 120.0
_PAUSE_S: Final = 0.2
_LEAST_S: Final = 1.0
"""Seconds that it may take to ask whether a bucket is there, however short the wait for its making."""
ABSENT: Final = 0
"""The revision of a key that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketConfig:
    """What a bucket is."""

    name: str
    ttl: float = 0.0
    """Seconds that a value lives; 0 for ever."""
    in_memory: bool = False
    """Gone when the server restarts."""
    replicas: int = 1
    max_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a key holds."""

    value: bytes
    revision: int
    """Changes with every write; never `ABSENT`."""


class Bucket:
    """One bucket. Every method raises `Outage`: when NATS cannot be asked, or has no room.

    Args:
        within: Seconds that reading or writing a value may take.
    """

    __slots__ = ("_config", "_js", "_within")

    def __init__(self, nc: Connection, config: BucketConfig, *, within: float = WITHIN_S) -> None:
        self._js = JetStream(nc)
        self._config = config
        self._within = within

    @property
    def stream(self) -> str:
        """The stream behind the bucket."""
        return f"KV_{self._config.name}"

    def subject(self, key: str) -> str:
        """Return the subject of a key; wildcards give filters."""
        return f"$KV.{self._config.name}.{key}"

    async def bootstrap(self) -> None:
        """Make the bucket unless it is there; of one that is, nothing but the number of replicas is changed."""
        try:
            await self._js.create_stream(self._stream_config())
        except Rejected as error:
            if not error.is_taken:
                raise
            state = await self._js.stream(self.stream)
            if state is not None and state.config["num_replicas"] != self._config.replicas:
                await self._js.update_stream({**state.config, "num_replicas": self._config.replicas})

    async def find(self, *, within: float) -> None:
        """Wait for the bucket to be there, for whoever may not make it.

        Raises:
            Unmade: it was not made within so many seconds.
            Outage: NATS could not be asked until then, as while a cluster elects.
        """
        deadline = time.monotonic() + within
        while await self._js.stream(self.stream, within=max(_LEAST_S, deadline - time.monotonic())) is None:
            if time.monotonic() >= deadline:
                raise Unmade(f"there is no bucket {self._config.name}: {BOOTSTRAP}")
            await asyncio.sleep(_PAUSE_S)

    async def get(self, key: str) -> Held | None:
        """Return what a key holds now, None if nothing."""
        entry = await self._js.entry(self.stream, within=self._within, last_by_subj=self.subject(key))
        return None if entry is None else Held(value=entry.payload, revision=entry.offset)

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever was there before; return the new revision."""
        return (await self._js.store(self.subject(key), value, within=self._within)).offset

    async def swap(self, key: str, value: bytes, *, revision: int) -> int | None:
        """Write if the key still has this revision; return the new one, None if somebody else was first.

        Args:
            revision: `ABSENT` if the key must not be there.

        Raises:
            Rejected: the server said no for another reason.
        """
        try:
            expected = {_EXPECTED: str(revision)}
            stored = await self._js.store(self.subject(key), value, headers=expected, within=self._within)
        except Rejected as error:
            if error.is_conflict:
                return None
            raise
        return stored.offset

    def _stream_config(self) -> dict[str, object]:
        config = self._config
        return {
            "name": self.stream,
            "subjects": [self.subject(">")],
            "storage": "memory" if config.in_memory else "file",
            "discard": "new",
            "num_replicas": config.replicas,
            "max_msgs_per_subject": 1,
            "max_bytes": config.max_bytes,
            "max_age": int(config.ttl * NANOSECONDS),
            "duplicate_window": int(min(config.ttl or _DUPLICATES_S, _DUPLICATES_S) * NANOSECONDS),
            "allow_rollup_hdrs": True,
            "deny_delete": True,
        }
