"""From the driver's thread to the event loop: callbacks become futures, here and nowhere else.

The driver calls back in the thread of its reactor. Waking an event loop costs a system call, and answers come in
bursts, so what has come since the loop last looked is handed over together.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

Outcome = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Bridge:
    """Settles futures of one event loop from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._outcomes: deque[Outcome] = deque()
        self._woken = False

    def future(self) -> "asyncio.Future[Any]":
        """Return a future to be settled later."""
        return self._loop.create_future()

    def succeed(self, value: Any, future: "asyncio.Future[Any]") -> None:
        """Settle a future, from any thread; one that was cancelled meanwhile is left alone."""
        self._settle((future, value, None))

    def fail(self, error: BaseException, future: "asyncio.Future[Any]") -> None:
        """Settle a future with an error, from any thread."""
        self._settle((future, None, error))

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        if not self._woken:  # else the loop looks after it was appended: it clears the mark before it looks
            self._woken = True
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                self._loop.call_soon_threadsafe(self._flush)

    def _flush(self) -> None:
        self._woken = False
        while self._outcomes:
            future, value, error = self._outcomes.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)
