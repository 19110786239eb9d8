"""Traces: the client's `traceparent` is honoured, and passed on with a span of our own (W3C Trace Context)."""

import re
from typing import Final

_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_VERSION: Final = b"ff"
_FIRST: Final = b"00"
"""The only version whose text ends after the flags."""
_ONLY_ZEROS: Final = frozenset({b"0" * 32, b"0" * 16})


def child_of(traceparent: bytes, *, span: str) -> str | None:
    """Return the `traceparent` to pass on; None for one that means nothing, which is as good as none (3.2.2).

    Args:
        traceparent: As the client sent it.
        span: 16 hex digits that name our part of the trace.
    """
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace, parent, flags, more = match.groups()
    if version == _NO_VERSION or trace in _ONLY_ZEROS or parent in _ONLY_ZEROS or (version == _FIRST and more):
        return None
    return f"00-{trace.decode()}-{span}-{flags.decode()}"
