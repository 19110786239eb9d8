"""A person's log-in: their password, within the limit."""

from http import HTTPStatus
from typing import Final

import structlog

from petit.cli.issuer.people import Person
from petit.cli.issuer.realm import Realm
from petit.cli.issuer.refusal import OAuthRefusal
from petit.cli.issuer.sessions import Session, may_log_in

_log: Final = structlog.get_logger()
_SCOPES: Final = ("openid", "profile", "email")


def check_password(realm: Realm, *, username: str, password: str) -> Person | None:
    """Return who has this username and password, else None.

    Raises:
        OAuthRefusal: Too many passwords are being looked at.
    """
    if not may_log_in(realm.store, per_s=realm.settings.logins_per_s, now=realm.now()):
        raise OAuthRefusal(
            "temporarily_unavailable",
            f"there are more than {realm.settings.logins_per_s:g} log-ins a second",
            status=HTTPStatus.TOO_MANY_REQUESTS,
            headers={"Retry-After": "1"},
        )
    return realm.people.check(username, password=password)


def start_session(realm: Realm, *, person: Person, client: str, scope: str) -> Session:
    """Begin a log-in; scopes that are not known here are passed over (RFC 6749, 3.3)."""
    asked = scope.split()
    granted = " ".join(name for name in _SCOPES if name != "openid" or name in asked)
    session = realm.sessions.start(person.username, client=client, scope=granted, now=realm.now())
    _log.info("session.started", username=person.username, client=client, sid=session.sid)
    return session
