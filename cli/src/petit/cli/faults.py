"""What no restart would cure, in words for whoever typed `petit up`."""

import errno
from pathlib import Path

from petit.chat.ports import StoreBroken
from petit.cli.issuer import Unusable
from petit.cli.trouble import of_file
from petit.kit.errors import LogFault, LogFull


def explain(error: BaseException) -> str | None:
    """Return one paragraph about a fault that needs a person; None for whatever may pass by itself, and for bugs."""
    match error:
        case LogFault() | StoreBroken() | Unusable():
            return str(error)
        case LogFull():
            return f"there is no room for the log ({error.detail}): make room on its disk and run ./petit up again"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"the disk is full ({error.filename or 'of the data folder'}): make room and run ./petit up again"
        case OSError(errno=errno.EACCES | errno.EPERM | errno.EROFS | errno.ENOTDIR | errno.EEXIST | errno.EISDIR):
            return str(of_file(error, Path(error.filename))) if error.filename else None
        case _:
            return None
