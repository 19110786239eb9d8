"""Leases: which replica of a service owns which partition.

Each replica keeps one entry in a bucket that forgets after two seconds: what it claims, written again every
0.6 s by compare-and-set, so that a replica whose entry expired or was taken over learns it by its next write. All
replicas watch the bucket. Whoever is in it gets an equal share (`petit.kit.shares`): a replica gives up at once
what is no longer in its share, and claims what is in its share as soon as no other living replica claims it.
One entry per replica, not one per partition, makes a lone process pay for two small messages a second.

A replica owns what it claimed from the moment the bucket has it, until it gives it up or has not renewed it
for 1.8 s by its own clock. So a crash is taken over within 2.5 s, a release within milliseconds, and a lone
replica owns everything some milliseconds after its start. Leases are an optimisation, not a fence: two clocks can
disagree, and for a moment two replicas may own the same partition. What they do must bear that.
"""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn

import structlog

from petit.contracts.subjects import PARTITIONS
from petit.kit.connection import Connection
from petit.kit.errors import LogFault, Outage, Unanswered
from petit.kit.feed import Feed
from petit.kit.kv import ABSENT, Bucket, BucketConfig
from petit.kit.log import Entry
from petit.kit.shares import shares

TTL_S: Final = 2.0
RENEW_S: Final = 0.6
_VALID_S: Final = 1.8
_WITHIN_S: Final = 0.5
_RETRY_S: Final = 0.1
_RELEASE_S: Final = 0.5
_BUCKET: Final = "LEASES"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_NONE: Final[frozenset[int]] = frozenset()
_LEFT: Final = b""

_log = structlog.get_logger(__name__)

OnChange = Callable[[frozenset[int], frozenset[int]], None]
"""Takes what is owned from now on, and what no longer is."""


def leases_bucket(*, replicas: int = 1, in_memory: bool = True) -> BucketConfig:
    """Return what the bucket is."""
    return BucketConfig(name=_BUCKET, ttl=TTL_S, in_memory=in_memory, replicas=replicas)


class ReplicaTakenError(Exception):
    """Another process runs under this replica's name."""


@dataclass(slots=True)
class _Other:
    """A replica that is not us."""

    claims: frozenset[int]
    seen: float
    """`time.monotonic()`."""
    time_ns: int


class Leases:
    """What one replica owns.

    Args:
        group: Those who share the partitions: letters, digits, `-` and `_`.
        replica: This process's name in the group; one that restarts under its old name need not wait for
            its own old claims to expire.
        on_change: Called on the loop with what was gained and what was lost, never both empty. What was
            lost is reported before anybody else can claim it, unless it is lost to time.
        makes: Whether to make the bucket wherever it is not; otherwise others do.
    """

    def __init__(
        self,
        nc: Connection,
        *,
        group: str,
        replica: str,
        on_change: OnChange,
        partitions: int = PARTITIONS,
        makes: bool = True,
    ) -> None:
        if not _NAME.fullmatch(group) or not _NAME.fullmatch(replica):
            raise ValueError(f"a group and a replica are named by letters, digits, - and _, not {group!r}, {replica!r}")
        self._nc = nc
        self._bucket = Bucket(nc, leases_bucket(), within=_WITHIN_S)
        self._makes = makes
        self._group = group
        self._replica = replica
        self._on_change = on_change
        self._partitions = partitions
        self._incarnation = secrets.token_hex(8)
        self._revision: int | None = None
        self._claims = _NONE
        self._owned = _NONE
        self._until = 0.0
        self._renew_at = 0.0
        self._others: dict[str, _Other] = {}
        self._written_ns = 0
        self._woken = asyncio.Event()

    @property
    def owned(self) -> frozenset[int]:
        """The partitions that are ours now."""
        return self._owned if time.monotonic() < self._until else _NONE

    async def find(self, *, within: float) -> None:
        """Wait for the bucket. See `Bucket.find`."""
        await self._bucket.find(within=within)

    async def run(self) -> NoReturn:
        """Take part until cancelled; then release everything.

        Raises:
            ReplicaTakenError: another process has taken this replica's name.
        """
        try:
            while True:
                try:
                    if self._makes:
                        await self._bucket.bootstrap()
                    await self._take_part()
                except Outage as error:
                    self._expire()
                    _log.warning("leases.unreached", group=self._group, error=str(error))
                    await asyncio.sleep(_RETRY_S)
        finally:
            await self._release()

    async def _take_part(self) -> None:
        # A bucket in memory begins again when its server does: then so does the watch.
        watch = Feed(
            self._nc,
            deliver=self._on_entry,
            after=0,
            stream=self._bucket.stream,
            subjects=[self._bucket.subject(f"{self._group}.*")],
            name=f"leases-{self._group}",
        )
        keeper = asyncio.create_task(self._keep(watch))
        watching = asyncio.create_task(watch.run())
        try:
            done, _ = await asyncio.wait({keeper, watching}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with suppress(LogFault):
                    await task
        finally:
            keeper.cancel()
            watching.cancel()
            await asyncio.wait({keeper, watching})

    async def _keep(self, watch: Feed) -> NoReturn:
        if not await self._write(self._claims) or not await watch.wait_for(self._revision or 0, within=TTL_S):
            raise Outage(f"bucket {self._bucket.stream} does not show what was written to it")
        now = time.monotonic()
        for other in self._others.values():
            other.seen = min(other.seen, now - (self._written_ns - other.time_ns) / 1e9)
        while True:
            self._woken.clear()
            settled = await self._step()
            due = min([self._renew_at, *(other.seen + TTL_S for other in self._others.values())])
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - time.monotonic()) if settled else _RETRY_S):
                    await self._woken.wait()

    async def _step(self) -> bool:
        """Bring claims in line with shares; False if that has to be tried again soon."""
        now = time.monotonic()
        self._others = {name: other for name, other in self._others.items() if now - other.seen < TTL_S}
        self._expire()
        share = shares([*self._others, self._replica], partitions=self._partitions)[self._replica]
        self._change(gained=_NONE, lost=self._owned - share)
        held = _NONE.union(*(other.claims for other in self._others.values()))
        wanted = self._owned | (share - held)
        if wanted == self._claims and now < self._renew_at:
            return True
        if not await self._write(wanted):
            return False
        self._change(gained=wanted - self._owned, lost=_NONE)
        return True

    async def _write(self, claims: frozenset[int]) -> bool:
        sent_at = time.monotonic()
        value = json.dumps({"by": self._incarnation, "claims": sorted(claims)}).encode()
        try:
            if self._revision is None:
                held = await self._bucket.get(self._key)
                self._revision = ABSENT if held is None else held.revision
            revision = await self._bucket.swap(self._key, value, revision=self._revision)
            if revision is None:
                await self._catch_up()
                return False
        except Outage as error:
            _log.warning("leases.unreached", group=self._group, error=str(error))
            if isinstance(error, Unanswered):
                await self._nc.assure()
            return False
        self._revision = revision
        self._claims = claims
        self._until = sent_at + _VALID_S
        self._renew_at = sent_at + RENEW_S
        return True

    async def _catch_up(self) -> None:
        """Learn why the entry is not the one that we wrote last.

        Raises:
            ReplicaTakenError: another process wrote it.
        """
        held = await self._bucket.get(self._key)
        if held is None or held.value == _LEFT:
            self._revision = ABSENT if held is None else held.revision  # it expired
        elif json.loads(held.value)["by"] == self._incarnation:
            self._revision = held.revision  # a write of ours, whose answer did not come
        else:
            raise ReplicaTakenError(f"another process runs as {self._replica} of {self._group}")

    async def _release(self) -> None:
        self._change(gained=_NONE, lost=self._owned)
        if self._revision:
            with suppress(Outage, TimeoutError):
                async with asyncio.timeout(_RELEASE_S):
                    await self._bucket.swap(self._key, _LEFT, revision=self._revision)

    def _expire(self) -> None:
        if time.monotonic() >= self._until:
            self._claims = _NONE
            self._change(gained=_NONE, lost=self._owned)

    def _change(self, *, gained: frozenset[int], lost: frozenset[int]) -> None:
        if not gained and not lost:
            return
        self._owned = (self._owned | gained) - lost
        _log.info("leases.changed", group=self._group, gained=len(gained), lost=len(lost), owned=len(self._owned))
        self._on_change(gained, lost)

    def _on_entry(self, entry: Entry) -> None:
        name = entry.subject.rpartition(".")[2]
        if name == self._replica:
            self._written_ns = entry.time_ns
            return
        before = self._others.pop(name, None)
        if entry.payload != _LEFT:
            try:
                claims = frozenset(json.loads(entry.payload)["claims"])
            except (ValueError, KeyError, TypeError):
                _log.warning("leases.unreadable", group=self._group, replica=name)
            else:
                self._others[name] = _Other(claims=claims, seen=time.monotonic(), time_ns=entry.time_ns)
        after = self._others.get(name)
        if before is None or after is None or before.claims != after.claims:
            self._woken.set()

    @property
    def _key(self) -> str:
        return f"{self._group}.{self._replica}"
