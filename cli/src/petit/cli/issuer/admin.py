"""Keycloak's admin paths that the product uses: find people, make one, rotate the signing key."""

import re
from http import HTTPStatus
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petit.cli.issuer.account import bearer_claims
from petit.cli.issuer.forms import body, query
from petit.cli.issuer.keys import Algorithm
from petit.cli.issuer.people import Match, Person, is_username, user_id
from petit.cli.issuer.realm import ADMIN, Realm
from petit.cli.issuer.refusal import OAuthRefusal

_log = structlog.get_logger()

_MAX_PAGE: Final = 1_000
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_PROVIDERS: Final[dict[str, Algorithm]] = {"rsa-generated": "RS256", "ecdsa-generated": "ES256"}


class _Credential(BaseModel):
    """A password, as `CredentialRepresentation` has it."""

    model_config = ConfigDict(frozen=True)

    type: str
    value: str


class _NewPerson(BaseModel):
    """What is taken of a `UserRepresentation`; the rest is passed over."""

    model_config = ConfigDict(frozen=True)

    username: str
    first_name: str = Field(default="", alias="firstName", max_length=255)
    last_name: str = Field(default="", alias="lastName", max_length=255)
    credentials: tuple[_Credential, ...] = ()


class _Component(BaseModel):
    """What is taken of a `ComponentRepresentation`."""

    model_config = ConfigDict(frozen=True)

    provider_type: str = Field(alias="providerType")
    provider_id: str = Field(alias="providerId")


def list_people(request: Request, *, realm: Realm) -> Response:
    """Answer `GET …/users`: by username, paged with `first` and `max`.

    `username` finds it anywhere in a username, or exactly with `exact=true`; `search` finds words at the
    beginning of a username, first or last name, where `*` stands for anything and quotes for exactly.

    Raises:
        OAuthRefusal: The caller may not, or `first` or `max` is no number.
    """
    allow(request, realm=realm, role="query-users")
    given = query(request)
    wanted = []
    if "username" in given:
        name = _escape(given["username"])
        pattern = name if given.get("exact", "").lower() == "true" else f"%{name}%"
        wanted.append(Match(columns=("username",), pattern=pattern))
    for word in given.get("search", "").split():
        if len(word) > 1 and word[0] == word[-1] == '"':
            pattern = _escape(word[1:-1])
        else:
            pattern = _escape(word).replace("*", "%").removesuffix("%") + "%"
        wanted.append(Match(columns=("username", "first_name", "last_name"), pattern=pattern))
    first, limit = number(given.get("first", "0")), min(number(given.get("max", "100")), _MAX_PAGE)
    return JSONResponse([_representation(person) for person in realm.people.page(wanted, first=first, limit=limit)])


def get_person(request: Request, *, realm: Realm) -> Response:
    """Answer `GET …/users/{id}`.

    Raises:
        OAuthRefusal: The caller may not.
    """
    allow(request, realm=realm, role="view-users")
    person = realm.people.get(request.path_params["id"])
    if person is None:
        return JSONResponse({"error": "User not found"}, status_code=HTTPStatus.NOT_FOUND)
    return JSONResponse(_representation(person))


async def add_person(request: Request, *, realm: Realm) -> Response:
    """Answer `POST …/users`: 201 with the address of the new person, or 409.

    Raises:
        OAuthRefusal: The caller may not, or the body is no user.
    """
    await run_in_threadpool(allow, request, realm=realm, role="manage-users")
    try:
        new = _NewPerson.model_validate_json(await body(request))
    except ValidationError as error:
        raise OAuthRefusal("invalid_request", f"not a UserRepresentation: {error.error_count()} errors") from None
    username = new.username.strip().lower()
    if not is_username(username):
        raise OAuthRefusal("invalid_request", "a username is 1 to 64 of a-z 0-9 . _ @ -, beginning with a-z or 0-9")
    passwords = [credential.value for credential in new.credentials if credential.type == "password"]
    person = Person(
        id=user_id(username),
        username=username,
        first_name=new.first_name or username.title(),
        last_name=new.last_name,
        roles=("USER",),
        made_at=realm.now(),
    )
    password = passwords[-1] if passwords else None
    if not await run_in_threadpool(realm.people.add, person, password=password):
        return JSONResponse({"errorMessage": "User exists with same username"}, status_code=HTTPStatus.CONFLICT)
    _log.info("person.added", username=username, user=person.id)
    return _created(realm, f"users/{person.id}")


async def add_component(request: Request, *, realm: Realm) -> Response:
    """Answer `POST …/components`: a new key provider is a new key that signs from now on.

    Raises:
        OAuthRefusal: The caller may not, or the body is no key provider that we have.
    """
    await run_in_threadpool(allow, request, realm=realm, role="manage-realm")
    try:
        component = _Component.model_validate_json(await body(request))
    except ValidationError:
        raise OAuthRefusal("invalid_request", "not a ComponentRepresentation") from None
    algorithm = _PROVIDERS.get(component.provider_id)
    if component.provider_type != "org.keycloak.keys.KeyProvider" or algorithm is None:
        raise OAuthRefusal("invalid_request", f"the key providers are {', '.join(_PROVIDERS)}")
    kid = await run_in_threadpool(realm.keys.rotate, algorithm, now=realm.now())
    _log.info("keys.rotated", kid=kid, algorithm=algorithm)
    return _created(realm, f"components/{kid}")


def allow(request: Request, *, realm: Realm, role: str) -> None:
    """Let only a service pass that has this role.

    Raises:
        OAuthRefusal: 401 without a good token, 403 without the role.
    """
    match bearer_claims(request, realm=realm).get("resource_access"):
        case {"realm-management": {"roles": [*roles]}} if role in roles:
            return
        case _:
            raise OAuthRefusal("unknown_error", f"this needs role {role}", status=HTTPStatus.FORBIDDEN)


def _created(realm: Realm, path: str) -> Response:
    location = f"{realm.base_url}{ADMIN}/{path}"
    return Response(status_code=HTTPStatus.CREATED, headers={"Location": location})


def _representation(person: Person) -> dict[str, object]:
    """Return someone as Keycloak's `UserRepresentation`."""
    return {
        "id": person.id,
        "createdTimestamp": int(person.made_at * 1000),
        "username": person.username,
        "enabled": person.enabled,
        "emailVerified": False,
        "firstName": person.first_name,
        "lastName": person.last_name,
    }


def _escape(text: str) -> str:
    """Return text as a LIKE pattern that matches nothing but it."""
    return re.sub(r"([\\%_])", r"\\\1", text.lower())


def number(text: str) -> int:
    """Return a number of at most fifteen digits.

    Raises:
        OAuthRefusal: It is none.
    """
    if not _NUMBER.fullmatch(text):
        raise OAuthRefusal("invalid_request", f"first and max are numbers, not {text[:20]!r}")
    return int(text)
