"""Latencies as counts of hundredths of milliseconds: exact enough, and mergeable across processes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

UNIT_NS: Final = 10_000
"""Nanoseconds in one step of a latency count."""
_PER_MS: Final = 100

Latencies = Counter[int]
"""How many deliveries took how many hundredths of a millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Where latencies lie, in milliseconds; all 0 if there were none."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    worst: float


def quantiles(latencies: Latencies) -> Quantiles:
    """Summarise latencies; each quantile is the smallest latency that so many did not exceed."""
    steps = sorted(latencies)
    count = latencies.total()
    found: list[float] = []
    seen, at = 0, -1
    for share in (0.5, 0.9, 0.99, 0.999, 1.0):
        while seen < share * count:
            at += 1
            seen += latencies[steps[at]]
        found.append(steps[at] / _PER_MS if count else 0.0)
    p50, p90, p99, p999, worst = found
    return Quantiles(count=count, p50=p50, p90=p90, p99=p99, p999=p999, worst=worst)


def of_arrivals(pairs: Iterable[tuple[int, int]], *, due: list[int], start: int) -> Latencies:
    """Turn what a listener noted into latencies.

    Args:
        pairs: when, in monotonic nanoseconds, and how many messages arrived.
        due: when each message of the room was due.
        start: which message arrived first.
    """
    found: Latencies = Counter()
    for now, count in pairs:
        found.update([(now - moment) // UNIT_NS for moment in due[start : start + count]])
        start += count
    return found
