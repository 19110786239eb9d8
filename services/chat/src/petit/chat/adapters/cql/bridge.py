"""From the driver's thread to the event loop: callbacks become futures, here and nowhere else.

The driver calls back in the thread of its reactor, once for each answer. Handing over several answers at one waking
of the loop was measured, and gains nothing (docs/adr/0012).
"""

import asyncio
from contextlib import suppress
from typing import Any


class Bridge:
    """Settles futures of one event loop from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def future(self) -> "asyncio.Future[Any]":
        """Return a future to be settled later."""
        return self._loop.create_future()

    def succeed(self, value: Any, future: "asyncio.Future[Any]") -> None:
        """Settle a future, from any thread; one that was cancelled meanwhile is left alone."""
        self._call(_succeed, future, value)

    def fail(self, error: BaseException, future: "asyncio.Future[Any]") -> None:
        """Settle a future with an error, from any thread."""
        self._call(_fail, future, error)

    def _call(self, settle: Any, future: "asyncio.Future[Any]", outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(settle, future, outcome)


def _succeed(future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
