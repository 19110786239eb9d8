"""The few pages that a browser sees, in plain HTML; forms and fields have the names that Keycloak gives them."""

import base64
import hashlib
from html import escape
from http import HTTPStatus
from typing import Final

from starlette.responses import HTMLResponse

_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:20rem;margin:4rem auto;padding:0 1rem}"
    "label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit}"
    "input,button{margin:.25rem 0 1rem;padding:.5rem}.error{color:#a00}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Cache-Control": "no-store",
    # No form-action: Chromium applies it to the redirect after the form as well, and that leads to the app.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def page(title: str, body: str, *, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    """Return a page.

    Args:
        title: Text.
        body: HTML, whatever is not ours escaped in it.
        status: The HTTP status.
    """
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )
    return HTMLResponse(html, status_code=status, headers=_HEADERS)


def login_page(action: str, *, username: str = "", error: str = "", status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    """Return the log-in form.

    Args:
        action: Where the form is sent.
        username: What was entered before.
        error: What was wrong with it.
        status: The HTTP status.
    """
    where = "password" if username else "username"
    focus = {"username": "", "password": ""} | {where: " autofocus"}
    complaint = f'<p class="error" role="alert" id="input-error">{escape(error)}</p>' if error else ""
    body = (
        f'{complaint}<form id="kc-form-login" method="post" action="{escape(action)}">'
        f'<label for="username">Username</label><input id="username" name="username" autocomplete="username"'
        f' value="{escape(username)}" maxlength="64" required{focus["username"]}>'
        f'<label for="password">Password</label><input id="password" name="password" type="password"'
        f' autocomplete="current-password" required{focus["password"]}>'
        f'<button id="kc-login" name="login">Sign in</button></form>'
        f"<p>On this machine ada, bob, cat, dan, eve and root have their name as password.</p>"
    )
    return page("Sign in to Petit Chat", body, status=status)


def error_page(detail: str, *, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> HTMLResponse:
    """Return a page that says what is wrong with a request that cannot be sent back to an app."""
    return page("We are sorry", f'<p class="error" role="alert">{escape(detail)}</p>', status=status)
