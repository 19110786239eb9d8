"""A histogram in text: latencies on a logarithmic axis."""

import math
from typing import Final

_WIDTH: Final = 50
_PER_MS: Final = 100
_STEPS: Final = 4
"""Bars for each doubling of latency, at most."""
_ROWS: Final = 24


def histogram(counts: dict[int, int]) -> list[str]:
    """Draw counts by hundredths of a millisecond, one line for each bar; nothing if there are none."""
    if not counts:
        return []
    low, high = (math.log2(max(1, edge)) for edge in (min(counts), max(counts)))
    per_doubling = next((steps for steps in (_STEPS, 2, 1) if (high - low) * steps < _ROWS), 0.5)
    bars: dict[int, int] = {}
    for step, count in counts.items():
        bar = math.floor(math.log2(max(1, step)) * per_doubling)
        bars[bar] = bars.get(bar, 0) + count
    most, total = max(bars.values()), sum(bars.values())
    lines: list[str] = []
    seen = 0
    for bar in range(min(bars), max(bars) + 1):
        count = bars.get(bar, 0)
        seen += count
        upper = 2 ** ((bar + 1) / per_doubling) / _PER_MS
        drawn = "█" * round(_WIDTH * count / most) or ("▏" if count else "")
        lines.append(f"  ≤ {upper:9.2f} ms {drawn:<{_WIDTH}} {count:>12,}  {100 * seen / total:7.3f} %")
    return lines
