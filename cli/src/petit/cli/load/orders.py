"""What the conductor tells a receiver process and what it answers: one JSON value a line.

Every order but `Close` has exactly one answer, in order; `Pulse` comes by itself, once a second.
"""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from petit.cli.load.plan import Transport


class _Line(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")


class Seat(_Line):
    """One device that listens."""

    room: int
    chat: str
    name: str
    """How violations call it."""
    token: str
    full: bool
    """Whether every frame is read in full."""


class Open(_Line):
    """Open the streams of these devices; answered by `Opened` when all are greeted."""

    do: Literal["open"] = "open"
    host: str
    port: int
    transport: Transport
    mark: str
    size: int
    """Bytes of every text."""
    seats: list[Seat]


class Settle(_Line):
    """Wait until every device has so many messages; answered by `Settled`."""

    do: Literal["settle"] = "settle"
    expected: dict[int, int]
    """Messages by room, since the streams were opened."""
    seconds: float
    """After which waiting ends."""


class Collect(_Line):
    """Report what arrived since the last time; answered by `Tally`."""

    do: Literal["collect"] = "collect"


class Cut(_Line):
    """End every connection at once; answered by `Opened` with no devices."""

    do: Literal["cut"] = "cut"


class Resume(_Line):
    """Open them all again, each from its cursor; answered by `Opened`."""

    do: Literal["resume"] = "resume"


class Caught(_Line):
    """Say when each device had everything that was due before a moment; answered by `CaughtUp`."""

    do: Literal["caught"] = "caught"
    before: int
    """Monotonic nanoseconds."""


class Close(_Line):
    """End every connection and the process."""

    do: Literal["close"] = "close"


Order = Open | Settle | Collect | Cut | Resume | Caught | Close


class Opened(_Line):
    """How many devices are live."""

    say: Literal["opened"] = "opened"
    live: int
    refused: list[str]
    """Why some are not; empty if all are."""


class Settled(_Line):
    """Whether everything expected arrived."""

    say: Literal["settled"] = "settled"
    missing: int
    """Deliveries that did not come in time."""


class Tally(_Line):
    """What arrived since the last tally."""

    say: Literal["tally"] = "tally"
    deliveries: int
    latency: dict[int, int]
    """How many deliveries took how many hundredths of a millisecond since they were due."""
    rooms: dict[int, list[int]]
    """Numbers of each room's messages, in order, since the streams were opened."""
    offsets: dict[int, int]
    """Offset by number, as devices that read in full saw it."""
    violations: list[str]
    first: int
    """Monotonic nanoseconds of the first arrival, 0 if none."""
    last: int
    """Monotonic nanoseconds of the last arrival, 0 if none."""
    cuts: int
    """Connections that ended unasked, since the streams were opened."""
    octets: int
    """Bytes received since the streams were opened."""
    cpu_s: float
    """CPU-seconds of this process since its start."""


class CaughtUp(_Line):
    """When each device had caught up."""

    say: Literal["caught_up"] = "caught_up"
    moments: list[int]
    """Monotonic nanoseconds, one of each device that did."""
    never: int
    """How many did not."""


class Pulse(_Line):
    """How it goes."""

    say: Literal["pulse"] = "pulse"
    live: int
    deliveries: int
    """Since the process started."""


Answer = Opened | Settled | Tally | CaughtUp | Pulse

ORDER: Final[TypeAdapter[Order]] = TypeAdapter(Annotated[Order, Field(discriminator="do")])
ANSWER: Final[TypeAdapter[Answer]] = TypeAdapter(Annotated[Answer, Field(discriminator="say")])
LINE_MAX: Final = 1 << 30
"""Bytes: the bound on one line; a million messages' numbers fit."""
