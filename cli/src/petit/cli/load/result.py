"""What a run found out, as values: printed as text and dumped as JSON."""

from dataclasses import dataclass, field

from petit.cli.load.latency import Quantiles

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of sending at one rate, to one server."""

    server: str
    """`petit` or `floor`."""
    what: str
    """Which part of the run, such as `fanout`."""
    rate: float
    """Messages per second that were scheduled; 0: as fast as the window allowed."""
    seconds: float
    """From the first due time to the last acknowledgement."""
    sent: int
    accepted: int
    refused: dict[int, int]
    """Answers that are no acknowledgement, by HTTP status; 0: the connection ended."""
    problem: str
    """The body of the last refusal, empty if none."""
    unknown: int
    """Sends without an answer."""
    deliveries: int
    deliver_seconds: float
    """From the first due time to the last delivery."""
    accept: Quantiles
    """From due to acknowledged."""
    deliver: Quantiles
    """From due to delivered."""
    histogram: dict[int, int]
    """Deliveries (sends, where nobody listens) by hundredths of a millisecond."""
    cpu_s: dict[str, float]
    """CPU-seconds of each server process during the step."""
    generator_cpu_s: dict[str, float]
    """CPU-seconds of the generator's processes during the step."""
    wall_s: float
    """Seconds over which CPU was counted."""
    cuts: int
    """Streams that ended unasked, and were resumed."""
    sustained: bool
    """Whether the server kept the schedule to its end."""
    violations: list[str]

    @property
    def accepted_per_s(self) -> float:
        """Acknowledged messages per second."""
        return self.accepted / self.seconds if self.seconds else 0.0

    @property
    def deliveries_per_s(self) -> float:
        """Deliveries per second."""
        return self.deliveries / self.deliver_seconds if self.deliver_seconds else 0.0

    @property
    def cpu_total_s(self) -> float:
        """CPU-seconds of all server processes together."""
        return sum(self.cpu_s.values())

    @property
    def cpu_s_per_million(self) -> float | None:
        """CPU-seconds of all server processes per million deliveries, sends included."""
        return self.cpu_total_s / self.deliveries * _MILLION if self.deliveries and self.cpu_s else None

    @property
    def cpu_us_per_accepted(self) -> float | None:
        """Microseconds of server CPU per acknowledged message, deliveries included."""
        return self.cpu_total_s / self.accepted * _MILLION if self.accepted and self.cpu_s else None

    @property
    def deliveries_per_cpu_s(self) -> dict[str, float]:
        """Deliveries per CPU-second of each process: what one core of it would deliver."""
        return {name: self.deliveries / used for name, used in self.cpu_s.items() if used and self.deliveries}


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Many connections and nothing to say."""

    server: str
    connections: int
    connect_seconds: float
    connect_cpu_s: float
    """Of all server processes."""
    pss_before: dict[str, int]
    """Bytes by process."""
    pss_with: dict[str, int]
    bytes_per_connection: float
    """Growth of all processes' memory, shared by the connections."""
    cpu_percent: float
    """Of one core, over all processes, while nothing happens."""
    violations: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """Everybody cut off at once, and back."""

    clients: int
    rate: float
    """Messages per second that went on being sent."""
    missed: int
    """Deliveries that were due before the return and came after it."""
    outage_s: float
    caught_up: Quantiles
    """Milliseconds from the return until a client had everything due before it."""
    cpu_s: dict[str, float]
    """CPU-seconds of each server process from the cut until sending ended, some seconds after the return."""
    pss_with: dict[str, int]
    never: int
    """Clients that did not catch up."""
    violations: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """How the fold followed a burst of sends."""

    offset: int
    """The last acknowledged offset."""
    seconds: float
    """From the last acknowledgement until every room's history reflects that offset."""
    checked: int
    """Messages found in history, each once, at the offset acknowledged."""
    violations: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """What things cost at one number of stored messages."""

    stored: int
    """Messages sent by this run before measuring."""
    send_us: float
    """Microseconds of server CPU per send without listeners."""
    send_p50_ms: float
    page_us: float
    """Microseconds of server CPU per page of history."""
    page_p50_ms: float
    deliver_us: float
    """Microseconds of server CPU per delivery, its share of the send included."""
    deliver_p50_ms: float
    deliver_p99_ms: float
    pss: dict[str, int]
    """Bytes by process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How cost depends on what is stored."""

    ages: list[Age]
    exponents: dict[str, float]
    """Of each cost: the slope of its logarithm over the logarithm of messages stored, by least squares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything one run found out."""

    command: str
    run: str
    steps: list[Step] = field(default_factory=list)
    idle: list[Idle] = field(default_factory=list)
    folding: Folding | None = None
    storm: Storm | None = None
    growth: Growth | None = None
    violations: list[str] = field(default_factory=list)
    """Empty, or the run has no score."""
