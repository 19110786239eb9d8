"""The kill matrix: whatever is killed under load, nothing acknowledged is lost, doubled, reordered or unseen."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.local import STOP_S, LocalStack
from tests.e2e.people import People
from tests.e2e.scale import FULL, scaled, within
from tests.prove.blows import carry_out
from tests.prove.crowd import gathered
from tests.prove.script import script
from tests.prove.verdict import violations

pytestmark = pytest.mark.embedded

SEEDS = range(1, 1 + scaled(2, full=20))
WARM = 30
"""Sends acknowledged before the first blow."""


class _Progress:
    """Prints what is done, with the time: the seed's script, for whoever has to repeat it."""

    def __init__(self, seed: int) -> None:
        self._begun = time.monotonic()
        print(f"seed {seed}", flush=True)  # noqa: T201 - see the class

    def __call__(self, line: str) -> None:
        print(f"  {time.monotonic() - self._begun:6.1f} s  {line}", flush=True)  # noqa: T201 - see the class


@pytest.mark.proof
@within(100)
@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}".format)
async def test_what_was_acknowledged_survives_whatever_is_killed(
    own_stack: Callable[..., LocalStack], figure: Callable[[str], None], seed: int
) -> None:
    """R07, R14: three edges, three folds, the log server and the supervisor, killed by a script under load."""
    stack = own_stack(processes=3)
    stack.start()
    steps = script(seed, edges=stack.named("edge-"), folds=stack.named("chat-"), log="nats-server", short=not FULL)
    async with People(stack) as people, gathered(people, seed=seed) as (crowd, busy):
        tell = _Progress(seed)
        await crowd.progress(sends=WARM)
        await carry_out(stack, steps=steps, acknowledged=lambda: crowd.ledger.acknowledged, tell=tell)
        await crowd.progress(sends=WARM)
        tell("everybody comes to an end")
        evidence = await crowd.finish(busy)
        tell(crowd.figures())
    stopped = stack.stop()

    assert violations(evidence) == [], f"seed {seed}"
    assert crowd.complaints == [], f"seed {seed}"
    assert stopped.status == 0
    assert stopped.took_s < STOP_S
    figure(crowd.figures())
