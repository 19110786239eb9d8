"""Fan-out: everybody listens, a few send, at one rate after another or at the greatest that is sustained."""

from typing import Final

from petit.cli.load.plan import MAX
from petit.cli.load.result import Step
from petit.cli.load.step import Bench, run_step

_FIRST: Final = 100.0
"""Messages per second at which a search begins."""
_GROWTH: Final = 1.6
_HALVINGS: Final = 3
_SEARCH_S: Final = 5.0
SEARCH: Final = "search"
"""What the steps of a search for the greatest rate are called."""
WARM_UP: Final = "warm-up"
"""What a step is called that only its violations count of."""


async def fanout(on: Bench, *, rates: tuple[float, ...]) -> list[Step]:
    """Run a step at every rate, after a warm-up; a search for the greatest rate yields all that it tried.

    Raises:
        NoProcess: a server process ended meanwhile.
    """
    steps = [await run_step(on, what=WARM_UP, rate=rates[0] or _FIRST, seconds=on.plan.warm_up)]
    for rate in rates:
        if rate == MAX:
            steps += await _search(on)
        else:
            steps.append(await run_step(on, what="fanout", rate=rate, seconds=on.plan.seconds))
    return steps


def best(steps: list[Step]) -> Step | None:
    """Pick the step with the greatest rate that was sustained."""
    return max((step for step in steps if step.sustained), key=lambda step: step.rate, default=None)


async def _search(on: Bench) -> list[Step]:
    """Raise the rate until it is not sustained any more, then halve the gap a few times."""
    seconds = min(_SEARCH_S, on.plan.seconds)
    tried: list[Step] = []
    good, bad, rate = 0.0, 0.0, _FIRST
    for _ in range(64):
        step = await run_step(on, what=SEARCH, rate=rate, seconds=seconds)
        tried.append(step)
        if step.violations:
            break
        if step.sustained:
            good = rate
        else:
            bad = rate
        if bad and len(tried) > _HALVINGS and bad <= good * _GROWTH ** (1 / 2**_HALVINGS):
            break
        rate = round((good + bad) / 2 if bad else rate * _GROWTH)
    return tried
