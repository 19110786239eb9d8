"""What stops a command: one paragraph that says what is wrong and what to do, and an exit code."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

REFUSED: Final = 1
"""Exit code: the command could not do what it was asked."""


class Trouble(Exception):
    """The command cannot go on.

    Args:
        what: One paragraph: what is wrong, and what to do about it.
        code: The exit code.
    """

    def __init__(self, what: str, *, code: int = REFUSED) -> None:
        super().__init__(what)
        self.code = code


def of_file(error: OSError, path: Path) -> Trouble:
    """Return the trouble that a file or folder makes."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return Trouble(f"the disk that holds {path} is full: make room there, or choose another folder with --data")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return Trouble(f"{path} cannot be written ({error.strerror}): choose a folder of your own with --data")
        case errno.ENOTDIR | errno.EEXIST:
            return Trouble(f"{path} is not a folder: move it away, or choose another with --data")
        case errno.EISDIR:
            return Trouble(f"{path} is a folder, and should be a file: move it away")
        case _:
            return Trouble(f"{path}: {error.strerror or error}")


@contextmanager
def file_trouble(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into words for whoever typed the command.

    Raises:
        Trouble: in place of `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise of_file(error, path) from error
