"""The apps that may ask for tokens, and where a browser may be sent back to."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_plus, urlsplit

from petit.cli.issuer.refusal import OAuthRefusal

WEB: Final = "petit-web"
GATEWAY: Final = "petit-gateway"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

_UNSAFE: Final = frozenset('\\"<>{}|^`')


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An app."""

    id: str
    secret: str | None
    """None for a public one, which cannot keep a secret."""
    grants: frozenset[str]
    """The `grant_type` values it may use."""


def registered(gateway_secret: str) -> dict[str, Client]:
    """Return all clients by id."""
    web = Client(id=WEB, secret=None, grants=frozenset({"password", "authorization_code", "refresh_token"}))
    gateway = Client(id=GATEWAY, secret=gateway_secret, grants=frozenset({"client_credentials"}))
    return {client.id: client for client in (web, gateway)}


def authenticated(clients: Mapping[str, Client], *, form: Mapping[str, str], authorization: str | None) -> Client:
    """Return the client that a form or an HTTP Basic header names, if it knows its secret (RFC 6749, 2.3.1).

    Raises:
        OAuthRefusal: There is no such client, or its secret is wrong.
    """
    id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if authorization is not None and authorization[:6].lower() == "basic ":
        try:
            decoded = base64.b64decode(authorization[6:], validate=True).decode()
        except (binascii.Error, ValueError):
            decoded = ""
        id, _, secret = (unquote_plus(part) for part in decoded.partition(":"))
    client = clients.get(id)
    if client is None or not hmac.compare_digest((client.secret or "").encode(), secret.encode("utf-8", "replace")):
        raise OAuthRefusal(
            "invalid_client",
            "Invalid client or Invalid client credentials",
            status=HTTPStatus.UNAUTHORIZED,
            headers={"WWW-Authenticate": 'Basic realm="petit"'} if authorization else {},
        )
    return client


def may_return_to(uri: str) -> bool:
    """Say whether a browser may be sent to a URI: plain HTTP on this machine, any port (RFC 8252, 7.3), any path.

    That is what petit-web has registered; a URI that two readers could take for different places is none.
    """
    if not uri.isascii() or not uri.isprintable() or " " in uri or not _UNSAFE.isdisjoint(uri):
        return False
    try:
        parts = urlsplit(uri)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        port_is_fine
        and parts.scheme == "http"
        and parts.hostname in LOOPBACK
        and "@" not in parts.netloc
        and "#" not in uri
    )
