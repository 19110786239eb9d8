"""JetStream's own API, asked over the reply mux: streams, consumers, single entries.

Only what the log, the feed and the buckets need, as the JSON that the server speaks (ADR-1 and the schemas
of nats-io/jsm.go), because nats-py's objects cover neither `first_seq` nor the server's time. Answers are those of who
leads what is asked about: direct reads, which a follower may answer, are never used, and what a node says of a stream
that has no leader or hears no majority counts as no answer. An entry may still be asked of one that led until just now.
"""

import asyncio
import json
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from petit.kit.connection import Connection
from petit.kit.errors import LogFull, Outage, Unanswered

WITHIN_S: Final = 5.0
"""Seconds that a request of this API may take."""
NANOSECONDS: Final = 1_000_000_000

STALE_S: Final = 25.0
"""For how long, in a cluster, an answer may be an old one: longer than a node that led and was cut off goes on as if it
still did. It looks every 10 s whether it has heard the others within 10 s (`lostQuorumCheck` in nats-server's raft.go),
and is asked again as soon as it is back, perhaps while those that know more are away."""
_HEARD_S: Final = 5.0
"""A leader has heard a follower within this, which tells it that it is there every second (`hbInterval`)."""

_PATIENCE_S: Final = 1.0
"""Until a question without an answer is asked again: a leader is elected in less."""
_PAUSE_S: Final = 0.1
_STREAM_NOT_FOUND: Final = 10059
_NO_MESSAGE: Final = 10037
_NAME_IN_USE: Final = frozenset({10058, 10065})
_CONFLICTS: Final = frozenset({10071, 10164})
_FULL_RETRY_S: Final = 10
_FULL: Final = frozenset({10002, 10023, 10028, 10047, 10077, 10122})


class Rejected(Outage):
    """The server understood and said no; nothing was stored."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.err_code = int(error.get("err_code", 0))
        """What the server calls `err_code` (its errors.json)."""
        super().__init__(f"JetStream: {error.get('description', '')} (err_code {self.err_code})")

    @property
    def is_missing(self) -> bool:
        """There is no such stream."""
        return self.err_code == _STREAM_NOT_FOUND

    @property
    def is_taken(self) -> bool:
        """A stream of that name or subject is there, and is another one."""
        return self.err_code in _NAME_IN_USE

    @property
    def is_conflict(self) -> bool:
        """Somebody else was first: the last entry is not the expected one."""
        return self.err_code in _CONFLICTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where something is stored."""

    offset: int
    """The stream sequence."""
    duplicate: bool = False
    """It was there before; perhaps by an earlier, unanswered attempt of the same writer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """What a stream says of itself."""

    config: Mapping[str, Any]
    metadata: Mapping[str, str]
    first: int
    """Offset of the oldest entry; one more than `last` where there is none."""
    last: int
    """Offset of the newest entry, also of one that was erased."""
    begins: int
    """Offset that the first entry ever had, or will have."""
    messages: int
    size: int
    """Bytes."""
    time_ms: int
    """The server's clock when it answered: UTC, milliseconds since 1970."""
    erased: frozenset[int]
    """Offsets of entries that were erased one by one, not at the beginning of the stream; empty unless asked for."""

    @property
    def replicas(self) -> int:
        """On how many nodes it is."""
        return int(self.config.get("num_replicas", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEntry:
    """One stored entry."""

    offset: int
    subject: str
    payload: bytes
    headers: Mapping[str, str] | None
    time_ns: int
    """When it was stored, by the server's clock: nanoseconds since 1970."""


class JetStream:
    """The API over one connection.

    Every method raises `Outage`: `Unreached` or `Unanswered` when the server cannot be asked, `LogFull` or
    `Rejected` when it says no.
    """

    __slots__ = ("_nc",)

    def __init__(self, nc: Connection) -> None:
        self._nc = nc

    async def stream(self, name: str, *, erased: bool = False, within: float = WITHIN_S) -> StreamState | None:
        """Return what a stream says of itself, None if there is none.

        Args:
            erased: Whether to ask which entries were erased.

        Raises:
            Unanswered: also where who answers does not lead the stream, or hears no majority of its nodes.
        """
        request = {"deleted_details": True} if erased else None
        deadline = time.monotonic() + within
        try:
            while (left := deadline - time.monotonic()) > 0:
                answer = await self._read(f"STREAM.INFO.{name}", request, within=left)
                if _leads(answer.get("cluster")):
                    return _state(answer)
                await asyncio.sleep(min(left, _PAUSE_S))
            raise Unanswered(f"stream {name} has no leader that hears a majority of its nodes")
        except Rejected as error:
            if error.is_missing:
                return None
            raise

    async def create_stream(self, config: Mapping[str, Any]) -> StreamState:
        """Make a stream; fine if the very same is there."""
        return _state(await self._ask(f"STREAM.CREATE.{config['name']}", config))

    async def update_stream(self, config: Mapping[str, Any]) -> StreamState:
        """Change a stream's configuration."""
        return _state(await self._ask(f"STREAM.UPDATE.{config['name']}", config))

    async def delete_stream(self, name: str) -> None:
        """Delete a stream with everything in it; fine if there is none."""
        try:
            await self._ask(f"STREAM.DELETE.{name}")
        except Rejected as error:
            if not error.is_missing:
                raise

    async def create_consumer(self, stream: str, config: Mapping[str, Any], *, within: float = WITHIN_S) -> None:
        """Make an ephemeral consumer by the name in its configuration.

        Its only filter, if it has one, is part of the subject: there a user's permissions can say what it may read.
        """
        subject = f"$JS.API.CONSUMER.CREATE.{stream}.{config['name']}"
        if "filter_subject" in config:
            subject = f"{subject}.{config['filter_subject']}"
        request = {"stream_name": stream, "config": config, "action": "create"}
        _read(await self._nc.replies.request(subject, json.dumps(request).encode(), within=within))

    async def entry(self, stream: str, *, within: float = WITHIN_S, **which: int | str) -> RawEntry | None:
        """Return one entry, None if it was erased, trimmed or never stored.

        Args:
            which: `seq`; or `last_by_subj`; or `seq` and `next_by_subj`: the first there or later, of a subject.

        Raises:
            Rejected: the server said no for another reason.
        """
        try:
            message = (await self._read(f"STREAM.MSG.GET.{stream}", which, within=within))["message"]
        except Rejected as error:
            if error.err_code == _NO_MESSAGE:
                return None
            raise
        return RawEntry(
            offset=message["seq"],
            subject=message["subject"],
            payload=b64decode(message.get("data", "")),
            headers=_headers(b64decode(message["hdrs"])) if "hdrs" in message else None,
            time_ns=_time_ns(message["time"]),
        )

    async def store(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, within: float = WITHIN_S
    ) -> Stored:
        """Publish to whichever stream holds the subject, and return where it stands.

        Raises:
            ValueError: a header has a line break, or the entry is larger than the server takes.
        """
        header = b""
        if headers:
            lines = [f"{name}: {value}" for name, value in headers.items()]
            if any("\r" in line or "\n" in line for line in lines):
                raise ValueError(f"{subject}: a header has a line break: {lines!r}")
            header = "\r\n".join(["NATS/1.0", *lines, "\r\n"]).encode()
        answer = _read(await self._nc.replies.request(subject, payload, within=within, header=header))
        return Stored(offset=answer["seq"], duplicate=answer.get("duplicate", False))

    async def _read(self, method: str, request: Mapping[str, Any] | None = None, *, within: float) -> dict[str, Any]:
        """Ask what changes nothing, again after a second: a stream that has no leader drops what it is asked."""
        return await self._ask(method, request, within=within, patience=_PATIENCE_S)

    async def _ask(
        self,
        method: str,
        request: Mapping[str, Any] | None = None,
        *,
        within: float = WITHIN_S,
        patience: float | None = None,
    ) -> dict[str, Any]:
        payload = b"" if request is None else json.dumps(request).encode()
        return _read(await self._nc.replies.insist(f"$JS.API.{method}", payload, within=within, patience=patience))


def _read(data: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(data)
    if "error" in answer:
        raise _refusal(answer["error"])
    return answer


def _refusal(error: Mapping[str, Any]) -> Outage:
    if error.get("err_code") in _FULL:
        return LogFull(f"log full: {error.get('description', '')}", retry_after=_FULL_RETRY_S)
    return Rejected(error)


def _state(answer: Mapping[str, Any]) -> StreamState:
    config, state = answer["config"], answer["state"]
    return StreamState(
        config=config,
        metadata=config.get("metadata") or {},
        first=state["first_seq"],
        last=state["last_seq"],
        begins=config.get("first_seq") or 1,
        messages=state["messages"],
        size=state["bytes"],
        time_ms=_time_ns(answer["ts"]) // 1_000_000,
        erased=frozenset(state.get("deleted") or ()),
    )


def _leads(cluster: Mapping[str, Any] | None) -> bool:
    """Say whether an answer is that of a leader with a majority; a lone server tells of no cluster.

    A node that has lost its leader, and campaigns, answers by its own copy. A follower that was never heard is shown as
    active 0 ns ago.
    """
    if cluster is None:
        return True
    others = cluster.get("replicas") or []
    heard = sum(0 < other.get("active", 0) < _HEARD_S * NANOSECONDS for other in others)
    return bool(cluster.get("leader")) and 2 * (1 + heard) > 1 + len(others)


def _time_ns(text: str) -> int:
    # RFC 3339 with up to nine digits of a second, which `datetime` cuts to six.
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * NANOSECONDS + int(fraction.ljust(9, "0") or 0)


def _headers(block: bytes) -> dict[str, str]:
    lines = block.decode(errors="replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name: value.strip() for name, _, value in pairs}
