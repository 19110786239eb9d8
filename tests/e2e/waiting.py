"""Waiting for what will be so, with a deadline: the only place where the end-to-end tests pause."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")
_POLL_S: Final = 0.02


class Late(AssertionError):
    """What was waited for did not come in time."""


def until(condition: Callable[[], T], *, within_s: float, what: str) -> T:
    """Return the first true value of a condition.

    Raises:
        Late: there was none in time.
    """
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Late(f"not within {within_s} s: {what}")
        time.sleep(_POLL_S)
    return value


async def eventually(
    condition: Callable[[], Awaitable[T]], *, within_s: float, what: str, every_s: float = _POLL_S
) -> T:
    """Return the first true value of a condition that has to be asked for.

    Raises:
        Late: there was none in time.
    """
    deadline = time.monotonic() + within_s
    while not (value := await condition()):
        if time.monotonic() > deadline:
            raise Late(f"not within {within_s} s: {what}")
        await asyncio.sleep(every_s)
    return value
