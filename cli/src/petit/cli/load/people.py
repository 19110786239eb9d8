"""Making people: created in the development issuer and logged in, as `petit login --new` does it one by one."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from petit.cli.load.api import Api, ApiRefused

_REALM: Final = "/realms/petit"
_TOKEN: Final = f"{_REALM}/protocol/openid-connect/token"
_USERS: Final = "/admin/realms/petit/users"
_SECRET: Final = Path("issuer") / "gateway.secret"
_CONFLICT: Final = 409
_UNAUTHORIZED: Final = 401


class NoPeople(Exception):
    """People cannot be made here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a valid access token."""

    name: str
    user: str
    """The token's `sub`."""
    token: str
    until: float
    """Monotonic seconds at which the token expires."""


def read_secret(data: Path | None) -> str:
    """Read the issuer's secret that lets a program create people; empty if there is none."""
    if data is None:
        return ""
    try:
        return (data / _SECRET).read_text().strip()
    except OSError:
        return ""


async def people(api: Api, *, names: list[str], secret: str, made: Callable[[int], None]) -> list[Person]:
    """Log people in, each with their name as password, creating who is not there.

    Args:
        api: the issuer.
        names: one of each person.
        secret: of the issuer's confidential client, to create people; empty if all exist.
        made: told how many are ready, while it goes on.

    Raises:
        NoPeople: somebody is not there, and cannot be made without the secret.
        ApiRefused: the issuer refuses.
    """
    admin = await _admin(api, secret) if secret else ""
    ready = 0
    gate = asyncio.Semaphore(16)

    async def one(name: str) -> Person:
        nonlocal ready
        async with gate:
            if admin:
                await _create(api, name, admin=admin)
            person = await log_in(api, name)
        ready += 1
        made(ready)
        return person

    return list(await asyncio.gather(*map(one, names)))


async def log_in(api: Api, name: str) -> Person:
    """Log one person in.

    Raises:
        NoPeople: nobody has that name and password.
        ApiRefused: the issuer refuses.
    """
    form = {"grant_type": "password", "client_id": "petit-web", "username": name, "password": name}
    begun = time.monotonic()
    reply = await api.ask("POST", _TOKEN, body=form, allow=(_UNAUTHORIZED,))
    if reply.status == _UNAUTHORIZED:
        raise NoPeople(
            f"there is no {name!r}, and nobody can be created without the data folder of `petit up` (--data), or with"
            " --stack real without PETIT_SERVICE_SECRET, the secret of client petit-gateway"
        )
    body = reply.json()
    token = str(body["access_token"])
    return Person(name=name, user=_subject(token), token=token, until=begun + float(body["expires_in"]))


async def _admin(api: Api, secret: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": "petit-gateway", "client_secret": secret}
    try:
        return str((await api.ask("POST", _TOKEN, body=form)).json()["access_token"])
    except ApiRefused as refused:
        raise NoPeople(f"the issuer does not know this secret of client petit-gateway: {refused}") from refused


async def _create(api: Api, name: str, *, admin: str) -> None:
    credentials = [{"type": "password", "value": name, "temporary": False}]
    body = {"username": name, "enabled": True, "credentials": credentials}
    await api.ask("POST", _USERS, token=admin, body=body, allow=(_CONFLICT,))


def _subject(token: str) -> str:
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])
