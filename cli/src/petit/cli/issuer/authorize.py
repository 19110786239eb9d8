"""The authorization endpoint: a browser logs in and is sent back to its app with a code (RFC 6749, 4.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from petit.cli.issuer.clients import may_return_to
from petit.cli.issuer.forms import form, query
from petit.cli.issuer.login import check_password, start_session
from petit.cli.issuer.page import error_page, login_page
from petit.cli.issuer.realm import LOGIN, Realm
from petit.cli.issuer.refusal import OAuthRefusal
from petit.cli.issuer.sessions import Authorization

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """An authorization request whose answer may be sent to its redirect_uri."""

    client: str
    redirect_uri: str
    parameters: Mapping[str, str]

    def answer(self, issuer: str, **parameters: str) -> Response:
        """Send the browser back; `iss` says who answers (RFC 9207)."""
        state = {"state": self.parameters["state"]} if "state" in self.parameters else {}
        encoded = urlencode(parameters | state | {"iss": issuer})
        mark = "&" if "?" in self.redirect_uri else "?"
        if self.parameters.get("response_mode") == "fragment":
            mark = "#"
        return RedirectResponse(
            f"{self.redirect_uri}{mark}{encoded}", HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"}
        )


def authorize(request: Request, *, realm: Realm) -> Response:
    """Answer `GET …/auth` with the log-in form; what is wrong with the request goes to the app, or on a page."""
    checked = _checked(request, realm=realm)
    if isinstance(checked, Response):
        return checked
    if checked.parameters.get("prompt") == "none":
        return checked.answer(realm.url, error="login_required")
    return login_page(_action(checked), username=checked.parameters.get("login_hint", ""))


async def authenticate(request: Request, *, realm: Realm) -> Response:
    """Answer the log-in form: back to the app with a code, or the form again."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        # A log-in that another site makes would sign its visitor in as somebody else.
        return error_page("This form was sent by another site.", status=HTTPStatus.FORBIDDEN)
    checked = _checked(request, realm=realm)
    if isinstance(checked, Response):
        return checked
    try:
        given = await form(request)
        return await run_in_threadpool(_log_in, realm, asked=checked, form=given)
    except OAuthRefusal as refusal:
        return error_page(refusal.description, status=refusal.status)


def _log_in(realm: Realm, *, asked: _Asked, form: Mapping[str, str]) -> Response:
    """Return the browser with a code, or show the form again.

    Raises:
        OAuthRefusal: Too many passwords are being looked at.
    """
    username = form.get("username", "")
    person = check_password(realm, username=username, password=form.get("password", ""))
    if person is None:
        error = "Invalid username or password."
        return login_page(_action(asked), username=username, error=error, status=HTTPStatus.UNAUTHORIZED)
    session = start_session(realm, person=person, client=asked.client, scope=asked.parameters.get("scope", ""))
    authorization = Authorization(
        sid=session.sid,
        client=asked.client,
        redirect_uri=asked.redirect_uri,
        challenge=asked.parameters["code_challenge"],
        nonce=asked.parameters.get("nonce"),
    )
    code = realm.sessions.authorize(authorization, now=realm.now())
    return asked.answer(realm.url, code=code, session_state=session.sid)


def _checked(request: Request, *, realm: Realm) -> _Asked | Response:
    """Return the request, or the answer that refuses it: by redirect only to where the client may be sent."""
    try:
        given = query(request)
    except OAuthRefusal as refusal:
        return error_page(refusal.description)
    client, uri = realm.clients.get(given.get("client_id", "")), given.get("redirect_uri", "")
    if client is None or "authorization_code" not in client.grants:
        return error_page("There is no such client, or people cannot log in with it.")
    if not may_return_to(uri):
        return error_page("redirect_uri must be plain http on 127.0.0.1, localhost or [::1], without a fragment.")
    asked = _Asked(client=client.id, redirect_uri=uri, parameters=given)
    if given.get("response_type") != "code":
        return asked.answer(realm.url, error="unsupported_response_type")
    if given.get("response_mode", "query") not in {"query", "fragment"}:
        return asked.answer(realm.url, error="invalid_request", error_description="Invalid parameter: response_mode")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        detail = "code_challenge with code_challenge_method S256 is required"
        return asked.answer(realm.url, error="invalid_request", error_description=detail)
    return asked


def _action(asked: _Asked) -> str:
    """Return where the form goes: the request travels in it, so that no process has to remember it."""
    return f"{LOGIN}?{urlencode(asked.parameters)}"
