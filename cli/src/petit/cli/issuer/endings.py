"""Keycloak's admin paths that end log-ins, and those that tell which have ended."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petit.cli.issuer.admin import allow, number
from petit.cli.issuer.events import Event
from petit.cli.issuer.forms import body
from petit.cli.issuer.people import Person
from petit.cli.issuer.realm import Realm
from petit.cli.issuer.refusal import OAuthRefusal

_MAX_EVENTS: Final = 1_000
_NO_CONTENT: Final = HTTPStatus.NO_CONTENT


class _Change(BaseModel):
    """What is taken of a `UserRepresentation` in an update; the rest is passed over."""

    model_config = ConfigDict(frozen=True)

    enabled: bool | None = None


async def change_person(request: Request, *, realm: Realm) -> Response:
    """Answer `PUT …/users/{id}`: who is disabled cannot log in, nor go on with a log-in.

    Raises:
        OAuthRefusal: The caller may not, or the body is no user.
    """
    await run_in_threadpool(allow, request, realm=realm, role="manage-users")
    try:
        change = _Change.model_validate_json(await body(request))
    except ValidationError:
        raise OAuthRefusal("invalid_request", "not a UserRepresentation") from None

    def done(person: Person) -> None:
        if change.enabled is not None:
            realm.people.enable(person, on=change.enabled)
        realm.events.note("UPDATE", user=person.id, now=realm.now())

    return await run_in_threadpool(_with_person, request, realm=realm, do=done)


def remove_person(request: Request, *, realm: Realm) -> Response:
    """Answer `DELETE …/users/{id}`.

    Raises:
        OAuthRefusal: The caller may not.
    """
    allow(request, realm=realm, role="manage-users")

    def done(person: Person) -> None:
        realm.people.remove(person)
        realm.events.note("DELETE", user=person.id, now=realm.now())

    return _with_person(request, realm=realm, do=done)


def log_person_out(request: Request, *, realm: Realm) -> Response:
    """Answer `POST …/users/{id}/logout`: all log-ins of somebody are over.

    Raises:
        OAuthRefusal: The caller may not.
    """
    allow(request, realm=realm, role="manage-users")

    def done(person: Person) -> None:
        realm.sessions.end_all(person.username)
        realm.events.note("ACTION", user=person.id, now=realm.now())

    return _with_person(request, realm=realm, do=done)


def end_session(request: Request, *, realm: Realm) -> Response:
    """Answer `DELETE …/sessions/{sid}`: one log-in is over.

    Raises:
        OAuthRefusal: The caller may not.
    """
    allow(request, realm=realm, role="manage-users")
    sid = request.path_params["sid"]
    if realm.sessions.get(sid, now=realm.now()) is None:
        return JSONResponse({"error": "Session not found"}, status_code=HTTPStatus.NOT_FOUND)
    realm.sessions.end(sid)
    return Response(status_code=_NO_CONTENT)


def list_events(request: Request, *, realm: Realm) -> Response:
    """Answer `GET …/events`: what people did, since `dateFrom`, `max` at most, after the `first` ones.

    Raises:
        OAuthRefusal: The caller may not, or a parameter is no number.
    """
    allow(request, realm=realm, role="view-events")
    return JSONResponse(
        [
            {"time": event.time_ms, "type": event.kind, "userId": event.user, "sessionId": event.session}
            for event in _asked(request, realm=realm, by_admins=False)
        ]
    )


def list_admin_events(request: Request, *, realm: Realm) -> Response:
    """Answer `GET …/admin-events`: what was done to people, since `dateFrom`, `max` at most, after the `first` ones.

    Raises:
        OAuthRefusal: The caller may not, or a parameter is no number.
    """
    allow(request, realm=realm, role="view-events")
    return JSONResponse(
        [
            {
                "time": event.time_ms,
                "operationType": event.kind,
                "resourceType": "USER",
                "resourcePath": f"users/{event.user}{'/logout' if event.kind == 'ACTION' else ''}",
            }
            for event in _asked(request, realm=realm, by_admins=True)
        ]
    )


def _asked(request: Request, *, realm: Realm, by_admins: bool) -> list[Event]:
    # Filters by type may be there several times; there is nothing here that they would leave out.
    given: Mapping[str, list[str]] = parse_qs(request.url.query)
    defaults = {"dateFrom": "0", "first": "0", "max": "100"}
    since, first, limit = (number(given.get(name, [default])[-1]) for name, default in defaults.items())
    return realm.events.since(since, by_admins=by_admins, first=first, limit=min(limit, _MAX_EVENTS))


def _with_person(request: Request, *, realm: Realm, do: Callable[[Person], None]) -> Response:
    person = realm.people.get(request.path_params["id"])
    if person is None:
        return JSONResponse({"error": "User not found"}, status_code=HTTPStatus.NOT_FOUND)
    do(person)
    return Response(status_code=_NO_CONTENT)
