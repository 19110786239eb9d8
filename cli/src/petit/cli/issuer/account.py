"""What a logged-in person can ask for: who they are, and to be logged out."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from petit.cli.issuer.clients import authenticated, may_return_to
from petit.cli.issuer.forms import form, query
from petit.cli.issuer.page import error_page, page
from petit.cli.issuer.realm import Realm
from petit.cli.issuer.refusal import OAuthRefusal
from petit.cli.issuer.tokens import profile

_log: Final = structlog.get_logger()


def bearer_claims(request: Request, *, realm: Realm) -> dict[str, object]:
    """Return the claims of a request's access token.

    Raises:
        OAuthRefusal: It has none that is ours and good now.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    claims = realm.tokens.read_access(token.strip(), now=realm.now()) if scheme.lower() == "bearer" else None
    if claims is None:
        raise _unauthorized("Token verification failed")
    return claims


def userinfo(request: Request, *, realm: Realm) -> Response:
    """Answer `GET` and `POST …/userinfo` (OpenID Connect Core, 5.3).

    Raises:
        OAuthRefusal: The token is not good, its log-in is over, or it lacks scope `openid`.
    """
    claims = bearer_claims(request, realm=realm)
    if "openid" not in str(claims.get("scope")).split():
        raise OAuthRefusal("insufficient_scope", "Missing openid scope", status=HTTPStatus.FORBIDDEN)
    session = realm.sessions.get(str(claims.get("sid")), now=realm.now())
    person = None if session is None else realm.people.find(session.username)
    if person is None:
        raise _unauthorized("Session not active")
    return JSONResponse(profile(person), headers={"Cache-Control": "no-store"})


async def logout(request: Request, *, realm: Realm) -> Response:
    """Answer `GET` and `POST …/logout`: by an app with a refresh token, or by a browser.

    The browser's is OpenID Connect RP-Initiated Logout, section 2; nothing is asked again.

    Raises:
        OAuthRefusal: The app or its refresh token is not good.
    """
    given = await form(request) if request.method == "POST" else query(request)
    if request.method == "POST" and "refresh_token" in given:
        header = request.headers.get("authorization")
        await run_in_threadpool(_end_by_refresh, realm, form=given, authorization=header)
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return await run_in_threadpool(_end_by_browser, realm, given=given)


def _end_by_refresh(realm: Realm, *, form: Mapping[str, str], authorization: str | None) -> None:
    """End the session of a refresh token.

    Raises:
        OAuthRefusal: The client or the token is not good.
    """
    client = authenticated(realm.clients, form=form, authorization=authorization)
    claims = realm.tokens.read_refresh(form["refresh_token"], now=realm.now())
    if claims is None or claims["azp"] != client.id:
        raise OAuthRefusal("invalid_grant", "Invalid refresh token")
    _end(realm, claims)


def _end_by_browser(realm: Realm, *, given: Mapping[str, str]) -> Response:
    """End the session that an id token names, and send the browser back if the request says where."""
    hint, uri = given.get("id_token_hint"), given.get("post_logout_redirect_uri")
    claims = None if hint is None else realm.tokens.read_identity(hint, now=realm.now())
    if hint is not None and claims is None:
        return error_page("Invalid parameter: id_token_hint")
    if claims is not None:
        if given.get("client_id", claims["azp"]) != claims["azp"]:
            return error_page("Invalid parameter: client_id is not the one of id_token_hint")
        _end(realm, claims)
    if uri is None:
        return page("You are logged out", "")
    if claims is None and given.get("client_id") not in realm.clients:
        return error_page("post_logout_redirect_uri needs id_token_hint or client_id")
    if not may_return_to(uri):
        return error_page("Invalid redirect uri")
    state = urlencode({"state": given["state"]}) if "state" in given else ""
    mark = ("&" if "?" in uri else "?") if state else ""
    return RedirectResponse(f"{uri}{mark}{state}", HTTPStatus.SEE_OTHER)


def _end(realm: Realm, claims: Mapping[str, object]) -> None:
    sid = str(claims["sid"])
    realm.sessions.end(sid)
    realm.events.note("LOGOUT", user=str(claims["sub"]), session=sid, now=realm.now())
    _log.info("session.ended", sid=sid)


def _unauthorized(description: str) -> OAuthRefusal:
    return OAuthRefusal(
        "invalid_token",
        description,
        status=HTTPStatus.UNAUTHORIZED,
        headers={"WWW-Authenticate": f'Bearer realm="petit", error="invalid_token", error_description="{description}"'},
    )
