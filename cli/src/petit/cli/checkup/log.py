"""How the log stands, as nobody should say it after one answer.

A node that starts, was frozen or was cut off may say for a while that the log is gone or ends earlier
(docs/adr/0013). Whoever then throws the log away, or tells somebody to, loses what was acknowledged.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from petit.contracts.cursor import NOWHERE, Cursor
from petit.kit.errors import LogFault, Outage, Unmade
from petit.kit.jetstream import STALE_S
from petit.kit.log import Log
from petit.kit.stream import LogInfo

SURE_S: Final = STALE_S
"""How long a fault must be there, the same all the while, until we believe it, seconds."""
_LONGEST_S: Final = 3 * SURE_S
_PAUSE_S: Final = 0.5


async def look_at_log(log: Log, *, known: Cursor = NOWHERE, say: Callable[[str], None] | None = None) -> LogInfo:
    """Return how the log stands, as soon as it is well.

    Args:
        log: Of whom it is asked.
        known: Up to where a read model has folded it, and which making of it.
        say: Told what is wrong, and that we look again.

    Raises:
        LogFault: what was wrong all the time for `SURE_S`.
        Unmade: it is not there, and as far as is known it never was.
        Outage: it cannot be asked now, or says now this and now that.
    """
    began = time.monotonic()
    since, seen = began, ""
    while True:
        try:
            return await log.find(known_epoch=known.epoch, known_offset=known.offset, within=0.0)
        except Unmade:
            raise
        except Outage:
            if time.monotonic() >= began + SURE_S:
                raise
            seen = ""
        except LogFault as fault:
            now = time.monotonic()
            if type(fault).__name__ != seen:
                since, seen = now, type(fault).__name__
                if say is not None:
                    say(f"{fault}; looking for {SURE_S:.0f} s whether it stays so")
            elif now >= since + SURE_S:
                raise
            if now >= began + _LONGEST_S:
                raise Outage(f"the log is not the same for {SURE_S:.0f} s: {fault}") from fault
        await asyncio.sleep(_PAUSE_S)
