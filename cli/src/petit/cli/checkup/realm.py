"""Keycloak: discovery and keys as every edge reads them, and the client by which the gateway looks people up."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2

from petit.cli.findings import Finding
from petit.cli.settings import DoctorSettings

_TIMEOUT_S: Final = 5.0
_FORBIDDEN: Final = 403


async def look_at_realm(settings: DoctorSettings) -> AsyncIterator[Finding]:
    """Ask for what services ask for."""
    if settings.issuer is None:
        yield Finding("issuer", well=True, says="not looked at: PETIT_DOCTOR_ISSUER names none")
        return
    async with httpx2.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as http:
        realm = (settings.issuer_url_inside or settings.issuer).rstrip("/")
        found = await _discover(http, realm)
        if isinstance(found, str):
            yield Finding("issuer", well=False, says=f"{found}; people with valid tokens go on, log-ins do not")
            return
        if found.get("issuer") != settings.issuer:
            yield Finding(
                "issuer",
                well=False,
                says=f"it calls itself {found.get('issuer')}, not {settings.issuer}: set KC_HOSTNAME to the public "
                "origin, or the services' issuer to what it says",
            )
        else:
            yield Finding("issuer", well=True, says=f"{settings.issuer}, reached at {realm}")
        yield await _look_at_keys(http, str(found.get("jwks_uri", "")))
        yield await _look_at_directory(http, settings, token_url=str(found.get("token_endpoint", "")))


async def _discover(http: httpx2.AsyncClient, realm: str) -> dict[str, Any] | str:
    """Return the discovery document, or what is wrong."""
    url = f"{realm}/.well-known/openid-configuration"
    try:
        answer = (await http.get(url)).raise_for_status().json()
    except (httpx2.HTTPError, ValueError) as error:
        return f"{url}: {error!r}: is Keycloak up, and has it this realm (deploy/keycloak)?"
    return answer if isinstance(answer, dict) else f"{url} is no discovery document"


async def _look_at_keys(http: httpx2.AsyncClient, url: str) -> Finding:
    try:
        keys = (await http.get(url)).raise_for_status().json()["keys"]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        return Finding("keys", well=False, says=f"{url}: {error!r}: services read tokens with the keys that are there")
    signing = [key for key in keys if key.get("use", "sig") == "sig"]
    if not signing:
        return Finding("keys", well=False, says=f"{url} lists no key that signs: look at the realm's key providers")
    return Finding("keys", well=True, says=f"{len(signing)} that sign, at {url}")


async def _look_at_directory(http: httpx2.AsyncClient, settings: DoctorSettings, *, token_url: str) -> Finding:
    if settings.directory_secret is None or settings.admin_url is None:
        says = "not looked at: PETIT_DOCTOR_ADMIN_URL and _DIRECTORY_SECRET are not both set"
        return Finding("directory", well=True, says=says)
    client = settings.directory_client
    form = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_secret": settings.directory_secret.get_secret_value(),
    }
    try:
        granted = await http.post(token_url, data=form)
        if granted.is_client_error:
            says = f"{client} is refused a token: compare PETIT_GATEWAY_DIRECTORY_SECRET with the realm's"
            return Finding("directory", well=False, says=says)
        token = granted.raise_for_status().json()["access_token"]
        url = f"{settings.admin_url.rstrip('/')}/users?max=1"
        people = await http.get(url, headers={"authorization": f"Bearer {token}"})
        if people.status_code == _FORBIDDEN:
            says = f"{client} may not view users: give its service account the role view-users of realm-management"
            return Finding("directory", well=False, says=says)
        people.raise_for_status()
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        return Finding(
            "directory", well=False, says=f"{settings.admin_url}: {error!r}: is the admin API reached there?"
        )
    return Finding("directory", well=True, says=f"{client} may look people up")
