"""Ends that are asked for, and standstills: nobody is refused, nothing is lost, and what wakes up late does no harm."""

import asyncio
import signal
from collections.abc import Callable, Sequence

import pytest

from tests.e2e.local import STOP_S, LocalStack
from tests.e2e.people import People
from tests.prove.blows import carry_out
from tests.prove.crowd import Crowd, gathered
from tests.prove.script import LEASE_MS, Blow, Step
from tests.prove.verdict import violations

pytestmark = pytest.mark.embedded

SOME = 20
"""Sends acknowledged between two blows."""


def _print(line: str) -> None:
    print(f"  {line}", flush=True)  # noqa: T201 - progress


async def _suffer(stack: LocalStack, crowd: Crowd, *, steps: Sequence[Step]) -> None:
    """Do each step once what the last one hit runs again."""
    for step in steps:
        pids = {name: stack.pids()[name] for name in step.targets if step.blow is Blow.ASK}
        await carry_out(stack, steps=[step], acknowledged=lambda: crowd.ledger.acknowledged, tell=_print)
        await asyncio.to_thread(stack.when_replaced, pids)
    await crowd.progress(sends=SOME)


def _check_nobody_was_refused(crowd: Crowd) -> None:
    refused = {status: count for status, count in crowd.ledger.statuses.items() if status >= 400}
    assert refused == {}, "answers that are no success"
    assert crowd.complaints == []


@pytest.mark.timeout(150)
async def test_whatever_is_asked_to_end_under_load_refuses_nobody(
    own_stack: Callable[..., LocalStack], figure: Callable[[str], None]
) -> None:
    """SIGTERM of each of three edges, three folds and the log server, one after the other: no 5xx, no loss."""
    stack = own_stack(processes=3)
    stack.start()
    names = (*stack.named("edge-"), *stack.named("chat-"), "nats-server")
    steps = [Step(blow=Blow.ASK, targets=(name,), after_sends=SOME) for name in names]
    async with People(stack) as people, gathered(people, seed=1) as (crowd, busy):
        await _suffer(stack, crowd, steps=steps)
        evidence = await crowd.finish(busy)

    assert violations(evidence) == []
    _check_nobody_was_refused(crowd)
    assert "Traceback" not in stack.logged()
    figure(crowd.figures())


@pytest.mark.timeout(150)
async def test_a_fold_that_slept_through_its_lease_does_no_harm(
    own_stack: Callable[..., LocalStack], figure: Callable[[str], None]
) -> None:
    """SIGSTOP of a fold for longer than its lease: others take over; when it goes on, it believes it still owns."""
    stack = own_stack(processes=3)
    stack.start()
    folds = stack.named("chat-")
    steps = [
        Step(blow=Blow.STALL, targets=folds[:1], after_sends=SOME, for_ms=LEASE_MS + 700),
        Step(blow=Blow.STALL, targets=folds[1:], after_sends=SOME, for_ms=LEASE_MS + 700),
    ]
    async with People(stack) as people, gathered(people, seed=2) as (crowd, busy):
        await _suffer(stack, crowd, steps=steps)
        evidence = await crowd.finish(busy)

    assert violations(evidence) == []
    assert crowd.complaints == []
    figure(crowd.figures())


@pytest.mark.timeout(150)
@pytest.mark.parametrize("processes", [0, 3], ids=["one", "three"])
async def test_everything_ends_in_time_under_load_and_goes_on_later(
    own_stack: Callable[..., LocalStack], figure: Callable[[str], None], processes: int
) -> None:
    """SIGTERM of `petit up`: exit code 0 within 10 s, no answer that is an error; the next `up` goes on."""
    stack = own_stack(processes=processes)
    stack.start()
    async with People(stack) as people, gathered(people, seed=3) as (crowd, busy):
        await crowd.progress(sends=SOME)
        stopped = await asyncio.to_thread(stack.stop, signal.SIGTERM)
        await asyncio.to_thread(stack.start)
        await crowd.progress(sends=SOME)
        evidence = await crowd.finish(busy)

    assert (stopped.status, stopped.took_s < STOP_S) == (0, True), stopped
    assert violations(evidence) == []
    _check_nobody_was_refused(crowd)
    figure(f"ended in {stopped.took_s:.1f} s; {crowd.figures()}")
