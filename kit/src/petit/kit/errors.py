"""What can fail underneath the services, named by what to do about it.

An *outage* is temporary: whoever owns the retry tries again, and at the edge it is 503 `unavailable`.
It comes in two kinds, because only one of them may be tried again blindly: what was *unreached* has
surely not happened, what is *unanswered* may have. A *fault of the log* passes by nothing that a
process can do: an operator decides, and the message says how.
"""

from typing import Final

from petit.contracts.problems import Unavailable

REPAIR: Final = "stop the services, then run `petit doctor --new-epoch`, on the real stack with `--stack real`"
"""What an operator does about a log that is lost or behind."""
RESTORE: Final = (
    "files of the log are damaged. Restore a backup (`petit restore`), or go on with what is folded and lose the rest: "
    + REPAIR
)
"""What an operator does about a log that is damaged."""


BOOTSTRAP: Final = "run `petit bootstrap`, which makes what services may not make themselves"
"""What an operator does where streams or buckets were never made."""


class Outage(Unavailable):
    """Something underneath is down for now."""


class Unreached(Outage):
    """Nobody was there to take the request: surely nothing happened."""


class Unanswered(Outage):
    """The request went out and no answer came: it may have happened."""


class Busy(Outage):
    """Too many requests wait already; this one was not sent."""


class LogFull(Outage):
    """The log takes no more entries, for lack of space or by its limits; nothing was stored."""


class Unmade(Outage):
    """A stream or a bucket is not there, and as far as is known it never was."""


class LogFault(Exception):
    """The log is not the one that we know; no process may go on as if it were."""


class LogLost(LogFault):
    """The stream is gone, or is another epoch than the one known."""


class LogBehind(LogFault):
    """The stream ends before an offset that it handed out, or holds another entry there."""


class LogDamaged(LogFault):
    """Entries that were stored cannot be read any more."""
