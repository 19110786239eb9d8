"""Scenarios that mostly wait, run side by side: each in a thread and an event loop of its own."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

Scenario = Callable[[], Coroutine[Any, Any, None]]
PATIENCE_S: Final = 80.0


class Asides:
    """Scenarios that were begun together."""

    def __init__(self, running: Mapping[str, "Future[None]"]) -> None:
        self._running = running

    def outcome(self, name: str) -> None:
        """Wait for the end of a scenario; raises what it raised.

        Raises:
            TimeoutError: it does not end.
        """
        self._running[name].result(PATIENCE_S)


@contextmanager
def side_by_side(scenarios: Mapping[str, Scenario]) -> Iterator[Asides]:
    """Begin scenarios, by name; each is asked for its outcome by a test of its own."""
    with ThreadPoolExecutor(len(scenarios)) as threads:
        yield Asides({name: threads.submit(asyncio.run, run()) for name, run in scenarios.items()})
