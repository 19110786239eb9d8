"""The token endpoint: a password, a code, a refresh token or a client's own secret for tokens."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petit.cli.issuer.clients import Client, authenticated
from petit.cli.issuer.forms import form, required
from petit.cli.issuer.login import check_password, start_session
from petit.cli.issuer.realm import Realm
from petit.cli.issuer.refusal import OAuthRefusal
from petit.cli.issuer.sessions import CodeFault

GRANTS: Final = ("authorization_code", "client_credentials", "password", "refresh_token")

_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")

_Form = Mapping[str, str]


async def token(request: Request, *, realm: Realm) -> Response:
    """Answer `POST …/token` (RFC 6749, 3.2).

    Raises:
        OAuthRefusal: No tokens for this.
    """
    given = await form(request)
    header = request.headers.get("authorization")
    answer = await run_in_threadpool(granted, realm, form=given, authorization=header)
    return JSONResponse(answer, headers=_NO_STORE)


def granted(realm: Realm, *, form: _Form, authorization: str | None) -> dict[str, object]:
    """Return the tokens that a form asks for.

    Args:
        realm: Where.
        form: The parameters.
        authorization: The request's `Authorization` header, None if it has none.

    Raises:
        OAuthRefusal: No tokens for this.
    """
    kind = required(form, "grant_type")
    client = authenticated(realm.clients, form=form, authorization=authorization)
    if kind not in GRANTS:
        raise OAuthRefusal("unsupported_grant_type", f"grant_type is one of {', '.join(GRANTS)}")
    if kind not in client.grants:
        raise OAuthRefusal("unauthorized_client", f"{client.id} may not use grant_type {kind}")
    match kind:
        case "password":
            return _password(realm, client=client, form=form)
        case "authorization_code":
            return _code(realm, client=client, form=form)
        case "refresh_token":
            return _refresh(realm, client=client, form=form)
        case _:
            return realm.tokens.of_service(now=realm.now())


def _password(realm: Realm, *, client: Client, form: _Form) -> dict[str, object]:
    """Take a username and a password (RFC 6749, 4.3); a wrong one is a 401, as Keycloak answers."""
    username, password = required(form, "username"), required(form, "password")
    person = check_password(realm, username=username, password=password)
    if person is None:
        raise OAuthRefusal("invalid_grant", "Invalid user credentials", status=HTTPStatus.UNAUTHORIZED)
    session = start_session(realm, person=person, client=client.id, scope=form.get("scope", ""))
    return realm.tokens.of_session(session, person=person, now=realm.now())


def _code(realm: Realm, *, client: Client, form: _Form) -> dict[str, object]:
    """Take an authorization code with its PKCE verifier (RFC 6749, 4.1.3; RFC 7636, 4.5)."""
    code, uri = required(form, "code"), required(form, "redirect_uri")
    verifier = required(form, "code_verifier")
    now = realm.now()
    found = realm.sessions.redeem(code, now=now)
    if isinstance(found, CodeFault):
        raise OAuthRefusal("invalid_grant", "Code not valid")
    if found.client != client.id or found.redirect_uri != uri:
        realm.sessions.end(found.sid)
        raise OAuthRefusal("invalid_grant", "The code was given to another client or redirect_uri")
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(challenge_of(verifier), found.challenge):
        realm.sessions.end(found.sid)
        raise OAuthRefusal("invalid_grant", "PKCE verification failed: Code mismatch")
    return _tokens(realm, sid=found.sid, nonce=found.nonce)


def _refresh(realm: Realm, *, client: Client, form: _Form) -> dict[str, object]:
    """Take a refresh token (RFC 6749, 6); it stays good until its session ends, as Keycloak leaves it by default."""
    claims = realm.tokens.read_refresh(required(form, "refresh_token"), now=realm.now())
    if claims is None:
        raise OAuthRefusal("invalid_grant", "Invalid refresh token")
    if claims["azp"] != client.id:
        raise OAuthRefusal("invalid_grant", "Invalid refresh token: it belongs to another client")
    return _tokens(realm, sid=str(claims["sid"]))


def _tokens(realm: Realm, *, sid: str, nonce: str | None = None) -> dict[str, object]:
    """Return tokens for a session that goes on, with the person as they are now.

    Raises:
        OAuthRefusal: The session is over.
    """
    now = realm.now()
    session = realm.sessions.extend(sid, now=now)
    person = None if session is None else realm.people.find(session.username)
    if session is None or person is None or not person.enabled:
        raise OAuthRefusal("invalid_grant", "Session not active")
    return realm.tokens.of_session(session, person=person, now=now, nonce=nonce)


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()
