"""What a run says while it goes on: one line a second, on standard error."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TextIO

_EVERY_S: Final = 1.0


class Progress:
    """Writes lines that begin with the seconds since the run began."""

    def __init__(self, *, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._begun = time.monotonic()
        self._noted = 0.0

    def say(self, what: str) -> None:
        """Write a line."""
        self._out.write(f"{time.monotonic() - self._begun:6.1f} s  {what}\n")
        self._out.flush()

    def note(self, what: str) -> None:
        """Write a line unless one was written within the last second."""
        now = time.monotonic()
        if now - self._noted >= _EVERY_S:
            self._noted = now
            self.say(what)

    @asynccontextmanager
    async def every_second(self, line: Callable[[], str]) -> AsyncIterator[None]:
        """Write a line each second while the block runs."""

        async def ticking() -> None:
            while True:
                await asyncio.sleep(_EVERY_S)
                self.say(line())

        async with asyncio.TaskGroup() as tasks:
            ticker = tasks.create_task(ticking())
            try:
                yield
            finally:
                ticker.cancel()
