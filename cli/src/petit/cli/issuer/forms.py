"""Form-encoded bodies and queries, as OAuth wants them: each parameter at most once (RFC 6749, 3.1 and 3.2)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from petit.cli.issuer.refusal import OAuthRefusal

MAX_BODY_BYTES: Final = 65_536
_MAX_FIELDS: Final = 50


async def body(request: Request) -> bytes:
    """Return a request's body.

    Raises:
        OAuthRefusal: It has more than 64 KiB.
    """
    whole = bytearray()
    async for part in request.stream():
        whole += part
        if len(whole) > MAX_BODY_BYTES:
            raise OAuthRefusal(
                "invalid_request",
                f"the body has more than {MAX_BODY_BYTES} bytes",
                status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
    return bytes(whole)


async def form(request: Request) -> dict[str, str]:
    """Return the parameters of a form-encoded body; empty ones count as absent.

    Raises:
        OAuthRefusal: It is no form, or names a parameter twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    whole = await body(request)
    if whole and kind != "application/x-www-form-urlencoded":
        raise OAuthRefusal("invalid_request", "the body must be application/x-www-form-urlencoded")
    return parameters(whole)


def query(request: Request) -> dict[str, str]:
    """Return the parameters of a request's query; empty ones count as absent.

    Raises:
        OAuthRefusal: It cannot be read, or names a parameter twice.
    """
    return parameters(bytes(request.scope["query_string"]))


def parameters(encoded: bytes) -> dict[str, str]:
    """Return what is form-encoded; empty parameters count as absent.

    Raises:
        OAuthRefusal: It cannot be read, or names a parameter twice.
    """
    try:
        pairs = parse_qsl(encoded.decode("ascii"), encoding="utf-8", errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise OAuthRefusal("invalid_request", "the parameters are not form-encoded UTF-8") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise OAuthRefusal("invalid_request", "a parameter is there twice")
    return found


def required(given: Mapping[str, str], name: str) -> str:
    """Return a parameter.

    Raises:
        OAuthRefusal: It is not there.
    """
    if name not in given:
        raise OAuthRefusal("invalid_request", f"parameter {name} is missing")
    return given[name]
