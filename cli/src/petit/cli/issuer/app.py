"""Puts the issuer together: one ASGI app on one shared file."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route

from petit.cli.issuer.account import logout, userinfo
from petit.cli.issuer.admin import add_component, add_person, get_person, list_people
from petit.cli.issuer.authorize import authenticate, authorize
from petit.cli.issuer.clients import LOOPBACK
from petit.cli.issuer.discovery import certs, configuration
from petit.cli.issuer.endings import (
    change_person,
    end_session,
    list_admin_events,
    list_events,
    log_person_out,
    remove_person,
)
from petit.cli.issuer.grants import token
from petit.cli.issuer.keys import Algorithm, SigningKeys
from petit.cli.issuer.realm import ADMIN, LOGIN, OIDC, PATH, Realm, realm_in
from petit.cli.issuer.refusal import OAuthRefusal, answer
from petit.cli.issuer.settings import DEFAULTS, Settings
from petit.cli.issuer.store import opened
from petit.kit.clock import Clock, SystemClock

_SYSTEM_CLOCK: Final = SystemClock()
_LOOPBACK_ORIGIN: Final = r"http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"


@contextmanager
def issuer(
    data: Path, *, base_url: str, settings: Settings = DEFAULTS, clock: Clock = _SYSTEM_CLOCK
) -> Iterator[Starlette]:
    """Open the issuer on `<data>/issuer/`, made at first use, until the block ends.

    The app answers below `/realms/petit` and `/admin/realms/petit`; it takes requests with their whole
    path, not mounted, and has no lifespan. Any number of processes may serve the same data.

    Args:
        data: The folder that `petit up --data` names.
        base_url: Where people reach it, `http://127.0.0.1:8080`. The issuer's URL is made from this alone.
        settings: How long things last.
        clock: Tells the time that tokens carry.

    Raises:
        Unusable: The data is damaged.
    """
    with opened(data) as store:
        yield _app(realm_in(store, base_url=base_url.rstrip("/"), settings=settings, clock=clock))


def rotate(
    data: Path, *, algorithm: Algorithm = "RS256", settings: Settings = DEFAULTS, clock: Clock = _SYSTEM_CLOCK
) -> str:
    """Make a new signing key and return its id; running processes sign with it at once.

    Args:
        data: The folder that `petit up --data` names.
        algorithm: What the key is for.
        settings: As the running processes have them: the old key is listed while its tokens last.
        clock: As the running processes have it.

    Raises:
        Unusable: The data is damaged.
    """
    with opened(data) as store:
        return SigningKeys(store, token_s=settings.token_s).rotate(algorithm, now=clock.now_ms() / 1000)


def _app(realm: Realm) -> Starlette:
    """Return the endpoints over a realm."""
    routes = [
        Route(f"{PATH}/.well-known/openid-configuration", partial(configuration, realm=realm)),
        Route(f"{OIDC}/certs", partial(certs, realm=realm)),
        Route(f"{OIDC}/token", partial(token, realm=realm), methods=["POST"]),
        Route(f"{OIDC}/auth", partial(authorize, realm=realm)),
        Route(LOGIN, partial(authenticate, realm=realm), methods=["POST"]),
        Route(f"{OIDC}/userinfo", partial(userinfo, realm=realm), methods=["GET", "POST"]),
        Route(f"{OIDC}/logout", partial(logout, realm=realm), methods=["GET", "POST"]),
        Route(f"{ADMIN}/users", partial(list_people, realm=realm)),
        Route(f"{ADMIN}/users", partial(add_person, realm=realm), methods=["POST"]),
        Route(f"{ADMIN}/users/{{id}}", partial(get_person, realm=realm)),
        Route(f"{ADMIN}/users/{{id}}", partial(change_person, realm=realm), methods=["PUT"]),
        Route(f"{ADMIN}/users/{{id}}", partial(remove_person, realm=realm), methods=["DELETE"]),
        Route(f"{ADMIN}/users/{{id}}/logout", partial(log_person_out, realm=realm), methods=["POST"]),
        Route(f"{ADMIN}/sessions/{{sid}}", partial(end_session, realm=realm), methods=["DELETE"]),
        Route(f"{ADMIN}/events", partial(list_events, realm=realm)),
        Route(f"{ADMIN}/admin-events", partial(list_admin_events, realm=realm)),
        Route(f"{ADMIN}/components", partial(add_component, realm=realm), methods=["POST"]),
    ]
    hosts = [*LOOPBACK, urlsplit(realm.base_url).hostname or ""]
    middleware = [
        # Everyone's password is known here, so a site that has its own name point to this machine gets no answer.
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        Middleware(
            CORSMiddleware,
            allow_origin_regex=_LOOPBACK_ORIGIN,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        ),
    ]
    return Starlette(
        routes=routes, middleware=middleware, exception_handlers={OAuthRefusal: answer, sqlite3.Error: answer}
    )
