"""Carries out a script on an installation: finds the processes, hurts them, and starts again what nobody else would."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, assert_never

from tests.e2e.local import STOP_S, LocalStack
from tests.e2e.waiting import eventually, until
from tests.prove.script import Blow, Step

_LOAD_S: Final = 120.0
"""How long the load may take to get so far again after a blow."""


async def carry_out(
    stack: LocalStack, *, steps: Sequence[Step], acknowledged: Callable[[], int], tell: Callable[[str], None]
) -> None:
    """Do one step after the other, each at its moment.

    Args:
        acknowledged: How many sends were acknowledged so far.
        tell: Takes a line before each step.

    Raises:
        AssertionError: sends are not acknowledged any more, or `petit up` does not start again.
    """
    for step in steps:
        goal = acknowledged() + step.after_sends

        async def reached(goal: int = goal) -> bool:
            return acknowledged() >= goal

        await eventually(reached, within_s=_LOAD_S, what=f"the load goes on before: {step}")
        await asyncio.sleep(step.after_ms / 1_000)  # the moment is part of the script
        tell(str(step))
        await _strike(stack, step)


async def _strike(stack: LocalStack, step: Step) -> None:
    match step.blow:
        case Blow.KILL:
            _signal(stack, signal.SIGKILL, step.targets)
        case Blow.ASK:
            _signal(stack, signal.SIGTERM, step.targets)
        case Blow.STALL:
            pids = _signal(stack, signal.SIGSTOP, step.targets)
            await asyncio.sleep(step.for_ms / 1_000)
            for pid in pids:
                _send(pid, signal.SIGCONT)
        case Blow.KILL_ALL:
            await asyncio.to_thread(stack.kill_everything)
            await asyncio.to_thread(stack.start)
        case Blow.KILL_UP:
            await asyncio.to_thread(_kill_supervisor, stack)
            await asyncio.to_thread(stack.start)
        case _:
            assert_never(step.blow)


def _kill_supervisor(stack: LocalStack) -> None:
    children = list(stack.pids().values())
    _send(int(json.loads((stack.data / "run.json").read_text())["supervisor"]), signal.SIGKILL)
    assert stack.wait(within_s=STOP_S) == -signal.SIGKILL
    until(lambda: not any(map(runs, children)), within_s=STOP_S, what=f"{children} went with their supervisor")


def _signal(stack: LocalStack, number: signal.Signals, names: Sequence[str]) -> list[int]:
    """Send a signal to what runs of these; a process that the supervisor is about to start again is spared."""
    pids = stack.pids()
    found = [pids[name] for name in names if name in pids]
    for pid in found:
        _send(pid, number)
    return found


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def runs(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
