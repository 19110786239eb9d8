"""What a run is asked to do: the options of `petit load`, as one value."""

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

MAX: Final = 0.0
"""The rate that means: as fast as it goes."""


class Mode(StrEnum):
    """Which scenario runs."""

    FANOUT = "fanout"
    SENDS = "sends"
    IDLE = "idle"
    STORM = "storm"
    GROWTH = "growth"


class Stack(StrEnum):
    """What kind of installation is measured."""

    EMBEDDED = "embedded"
    REAL = "real"


class Transport(StrEnum):
    """How receivers listen."""

    SSE = "sse"
    WS = "ws"


class SendBy(StrEnum):
    """How senders send."""

    REST = "rest"
    WS = "ws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """Spell it as a Host header does."""
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read a base URL.

        Raises:
            ValueError: the URL is not plain http with a host.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError(f"base URL {url!r} is not http://host:port")
        return cls(host=parts.hostname, port=parts.port or 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a run needs to know."""

    mode: Mode
    address: Address
    issuer: Address
    """Where Keycloak's token and admin API are; the embedded stack serves them itself."""
    secret: str
    """Of the issuer's confidential client, to make people; empty if all exist."""
    rooms: int
    members: int
    """People in each room, every one of them listening."""
    rates: tuple[float, ...]
    """Messages per second over all rooms, one step each; `MAX` searches for the greatest that is sustained."""
    size: int
    """Bytes of each text."""
    seconds: float
    """How long each step sends."""
    transport: Transport
    send_by: SendBy
    senders: int
    """How many of each room's members send."""
    inflight: int
    """How many sends may be unanswered at once."""
    workers: int
    """Receiver processes."""
    floor: bool
    """Whether the bare hub is measured too."""
    data: Path | None
    """Where `petit up` keeps its state, to find its processes."""
    pids: str
    """The server's processes as `name=pid,…`, instead of data; empty if unknown."""
    sizes: tuple[int, ...]
    """Growth: at how many stored messages to measure, ascending."""
    outage: float
    """Storm: seconds between the cut and the return."""
    warm_up: float
    """Seconds of rest before the first step, and of sending that is not scored."""
    grace: float
    """Seconds that answers and deliveries may be late before they count as missing."""


def parse_rates(text: str) -> tuple[float, ...]:
    """Read `100,200,400` or `max`.

    Raises:
        ValueError: a rate is neither a positive number nor `max`.
    """
    return tuple(MAX if part.strip() == "max" else _rate(part) for part in text.split(","))


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < math.inf:
        raise ValueError(f"rate {text!r} is not a positive number")
    return rate
