"""The `Authorization` header and its answer, `WWW-Authenticate` (RFC 6750)."""

from typing import Final

from petit.contracts.problems import Code, Refused

_SCHEME: Final = b"bearer "


def bearer(header: bytes | None) -> bytes:
    """Return the token of an `Authorization` header's value.

    Args:
        header: The value as the server received it; None if there is no such header.

    Raises:
        Refused: `token.missing` without a header or with another scheme.
    """
    if header is None or header[:7].lower() != _SCHEME:
        raise Refused(Code.TOKEN_MISSING, "the request has no Authorization header of scheme Bearer")
    return header[7:].strip(b" ")


def challenge(code: Code) -> str:
    """Return the `WWW-Authenticate` value of a 401; it tells of an error where there was a token (RFC 6750, 3.1)."""
    if code in {Code.TOKEN_MISSING, Code.CREDENTIALS_INVALID}:
        return 'Bearer realm="petit"'
    return f'Bearer realm="petit", error="invalid_token", error_description="{code}"'
