"""The realm's administration, as far as tests set up more than the realm's own file does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx2

from tests.e2e.stack import NEW_KEY
from tests.real.servers import ADMIN

_TIMEOUT_S: Final = 60.0
"""A Keycloak that has just started takes long over its first answers."""


class Realm:
    """The realm `petit` of one Keycloak, as its administrator.

    Args:
        base: Where Keycloak itself answers, not the public origin: `/admin/` is not public.
    """

    def __init__(self, base: str) -> None:
        self._base = base

    @property
    def admin_url(self) -> str:
        """The realm's admin API."""
        return f"{self._base}/admin/realms/petit"

    def serve(self, origin: str) -> None:
        """Let the page at this origin log people in."""
        with self._asking() as http:
            for client in self._clients(http, "petit-web"):
                moved = {"rootUrl": origin, "redirectUris": [f"{origin}/*"], "webOrigins": [origin]}
                attributes = client["attributes"] | {"post.logout.redirect.uris": f"{origin}/*"}
                http.put(
                    f"/clients/{client['id']}", json=client | moved | {"attributes": attributes}
                ).raise_for_status()

    def rotate_keys(self) -> None:
        """Sign by a new key from now on."""
        with self._asking() as http:
            http.post("/components", json=NEW_KEY).raise_for_status()

    @contextmanager
    def client(self, name: str, *, token_s: int) -> Iterator[None]:
        """Have a public client as `petit-web`, whose access tokens live for so many seconds."""
        with self._asking() as http:
            like = self._clients(http, "petit-web")[0]
            made = {key: value for key, value in like.items() if key != "id"} | {
                "clientId": name,
                "attributes": like["attributes"] | {"access.token.lifespan": str(token_s)},
                "protocolMappers": [
                    {key: value for key, value in mapper.items() if key != "id"}
                    for mapper in like.get("protocolMappers", [])
                ],
            }
            http.post("/clients", json=made).raise_for_status()
        try:
            yield
        finally:
            with self._asking() as http:
                for client in self._clients(http, name):
                    http.delete(f"/clients/{client['id']}").raise_for_status()

    @contextmanager
    def _asking(self) -> Iterator[httpx2.Client]:
        form = {"client_id": "admin-cli", "grant_type": "password", "username": ADMIN, "password": ADMIN}
        with httpx2.Client(trust_env=False, timeout=_TIMEOUT_S) as http:
            answer = http.post(f"{self._base}/realms/master/protocol/openid-connect/token", data=form)
            answer.raise_for_status()
            http.base_url = httpx2.URL(self.admin_url)
            http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            yield http

    def _clients(self, http: httpx2.Client, name: str) -> list[dict[str, Any]]:
        answer = http.get("/clients", params={"clientId": name})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found
