"""Whoever waits for an offset is woken when it is reached, and not before."""

import asyncio
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petit.kit.progress import Progress


async def test_what_is_reached_is_not_waited_for() -> None:
    assert await Progress(5).wait_for(5, within=0)


async def test_waiting_ends_when_the_time_is_up() -> None:
    progress = Progress(5)

    assert not await progress.wait_for(6, within=0.01)
    progress.advance(6)
    assert await progress.wait_for(6, within=0.01)


@given(goals=st.lists(st.integers(1, 50), max_size=30), steps=st.lists(st.integers(1, 50), max_size=30))
def test_everyone_is_woken_by_the_first_step_that_is_far_enough(goals: list[int], steps: list[int]) -> None:
    async def scenario() -> None:
        progress = Progress(0)
        waiting = [asyncio.create_task(progress.wait_for(goal, within=60)) for goal in goals]
        await asyncio.sleep(0)
        for furthest, step in zip(accumulate(steps, max), steps, strict=True):
            progress.advance(step)
            for _ in range(3):
                await asyncio.sleep(0)
            woken = {goal for goal, task in zip(goals, waiting, strict=True) if task.done()}
            assert woken == {goal for goal in goals if goal <= furthest}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scenario())


async def test_those_who_wait_in_vain_are_told() -> None:
    progress = Progress(0)
    waiting = asyncio.create_task(progress.wait_for(1, within=60))
    await asyncio.sleep(0)

    progress.fail(KeyError("over"))

    with pytest.raises(KeyError, match="over"):
        await waiting
    with pytest.raises(KeyError, match="over"):
        await progress.wait_for(1, within=60)


async def test_whoever_gives_up_waiting_is_forgotten() -> None:
    progress = Progress(0)
    waiting = asyncio.create_task(progress.wait_for(1, within=60))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})

    progress.advance(1)

    assert waiting.cancelled()
