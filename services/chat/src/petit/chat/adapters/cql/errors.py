"""What the driver's errors mean: an outage that passes, or something that an operator must mend."""

from cassandra import (
    AuthenticationFailed,
    CoordinationFailure,
    InvalidRequest,
    OperationTimedOut,
    RequestExecutionException,
    Timeout,
    Unauthorized,
    Unavailable,
    UnresolvableContactPoints,
)
from cassandra.cluster import NoConnectionsAvailable, NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.protocol import (
    IsBootstrappingErrorMessage,
    OverloadedErrorMessage,
    ServerError,
    TruncateError,
)

from petit.chat.ports import StoreBroken, StoreDown

_DOWN = (
    ConnectionException,
    CoordinationFailure,
    IsBootstrappingErrorMessage,
    NoConnectionsAvailable,
    NoHostAvailable,
    OperationTimedOut,
    OverloadedErrorMessage,
    RequestExecutionException,
    ServerError,
    Timeout,
    TruncateError,
    Unavailable,
    UnresolvableContactPoints,
    OSError,
)
_BROKEN = (AuthenticationFailed, InvalidRequest, Unauthorized)


def translated(error: BaseException, *, where: str) -> BaseException:
    """Return the port's error for the driver's; what is neither is a bug, and comes back as it is.

    Args:
        where: The keyspace, as an operator knows it.
    """
    text = _told(error)
    if isinstance(error, _BROKEN):
        return StoreBroken(
            f"{where} refuses what this version asks ({text}): run `petit migrate`, and look at its rights"
        )
    if isinstance(error, _DOWN):
        return StoreDown(f"{where}: {text}")
    return error


def _told(error: BaseException) -> str:
    """Return what happened, in a line: of many nodes that failed, what each said."""
    if isinstance(error, NoHostAvailable) and error.errors:
        return "; ".join(sorted({f"{host}: {reason}" for host, reason in error.errors.items()}))
    return " ".join(str(error).split())
