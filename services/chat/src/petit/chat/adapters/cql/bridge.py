"""From the driver's thread to the event loop: callbacks become futures, here and nowhere else.

The driver calls back in the thread of its reactor, once for each answer. Where it has asked a second node as well, it
may call back twice for one request; and would take the second answer for the next page, had it been told to fetch
that. So every page is a request and a future of its own, which the first answer settles, and nothing else is done
when it comes.

Handing over several answers at one waking of the loop was measured, and gains nothing (docs/adr/0012).
"""

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

Row = tuple[Any, ...]


class Page(NamedTuple):
    """What one request brings."""

    rows: list[Row]
    more: bytes | None
    """Where the next page begins, in the database's words; None behind the last."""


class Response(Protocol):
    """What the driver gives for a request that is under way."""

    _paging_state: bytes | None

    def add_callbacks(self, callback: Any, errback: Any) -> None:
        """Call one of them for each answer, in any thread."""
        ...


class Bridge:
    """Settles futures of one event loop from another thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def answer(self, response: Response) -> "asyncio.Future[Page]":
        """Return a future of what a request brings: its first answer or error, whatever comes after that."""
        future: asyncio.Future[Page] = self._loop.create_future()

        def page(rows: list[Row] | None) -> None:
            self._call(_succeed, future, Page(rows or [], response._paging_state))  # noqa: SLF001 - has no public name beside callbacks

        def failed(error: BaseException) -> None:
            self._call(_fail, future, error)

        response.add_callbacks(page, failed)
        return future

    def _call(self, settle: Any, future: "asyncio.Future[Page]", outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(settle, future, outcome)


def _succeed(future: "asyncio.Future[Page]", page: Page) -> None:
    if not future.done():
        future.set_result(page)


def _fail(future: "asyncio.Future[Page]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
