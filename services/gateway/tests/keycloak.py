"""The part of Keycloak that the gateway uses, as an httpx transport: 26's paths and meanings."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import httpx

from petit.gateway.adapters.accounts import KeycloakAccounts
from petit.gateway.adapters.directory import KeycloakDirectory
from petit.gateway.adapters.keycloak import Keycloak, Realm
from petit.gateway.ports import Clock

REALM = Realm.at(
    "https://sso.test/admin/realms/petit",
    client="petit-gateway",
    secret="s3cret",
    login_client="petit-login",
    login_secret="l0gin",
)
TOKEN_URL = "https://sso.test/realms/petit/protocol/openid-connect/token"
ADMIN_PATH = "/admin/realms/petit/"


class FakeKeycloak:
    """People, service tokens, and what may go wrong with both."""

    def __init__(self, *names: str) -> None:
        self.users: list[dict[str, Any]] = [
            {"id": name, "username": name, "firstName": name.title(), "email": f"{name}@mail.test"} for name in names
        ]
        self.good_tokens: set[str] = set()
        self.tokens_made = 0
        self.asked: list[str] = []
        self.said: list[bytes] = []
        self.answers: dict[str, httpx.Response] = {}
        """What it answers to a method and a path below the realm instead of what it should: `POST users`."""
        self.events: list[dict[str, Any]] = []
        """What people did, by time."""
        self.admin_events: list[dict[str, Any]] = []
        """What was done to people, by time."""
        self.status: int | None = None
        """What it answers to everything; None: what it should."""
        self.garbage = False
        self.unreachable = False

    def keycloak(self, clock: Clock) -> Keycloak:
        """Return the realm, whose requests end here."""
        return Keycloak(REALM, http=httpx.AsyncClient(transport=httpx.MockTransport(self.answer)), clock=clock)

    def directory(self, clock: Clock) -> KeycloakDirectory:
        return KeycloakDirectory(self.keycloak(clock), clock=clock)

    def accounts(self, clock: Clock) -> KeycloakAccounts:
        return KeycloakAccounts(self.keycloak(clock))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        self.said.append(request.content)
        if self.unreachable:
            raise httpx.ConnectError("down", request=request)
        if self.garbage:
            return httpx.Response(200, content=b"<html>")
        if self.status is not None:
            return httpx.Response(self.status)
        if str(request.url) == TOKEN_URL:
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.good_tokens:
            return httpx.Response(401, json={"error": "HTTP 401 Unauthorized"})
        path = request.url.path.removeprefix(ADMIN_PATH).strip("/")
        if f"{request.method} {path}" in self.answers:
            return self.answers[f"{request.method} {path}"]
        query = {name: some[0] for name, some in parse_qs(request.url.query.decode()).items()}
        if path in {"events", "admin-events"}:
            return self._noted(self.events if path == "events" else self.admin_events, query)
        return self._users(path, query)

    def _noted(self, events: list[dict[str, Any]], query: Mapping[str, str]) -> httpx.Response:
        assert query["direction"] == "asc"
        first, size = int(query.get("first", 0)), int(query.get("max", 100))
        since = [event for event in events if event["time"] >= int(query["dateFrom"])]
        return httpx.Response(200, json=since[first : first + size])

    def _users(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        if path != "users":
            found = next((user for user in self.users if f"users/{user['id']}" == path), None)
            return httpx.Response(200, json=found) if found else httpx.Response(404, json={"error": "User not found"})
        first, size = int(query.get("first", 0)), int(query.get("max", 100))
        wanted = query.get("search", "").lower()
        matching = [
            user
            for user in sorted(self.users, key=lambda user: str(user["username"]))
            if any(str(user.get(name, "")).lower().startswith(wanted) for name in ("username", "firstName", "email"))
        ]
        return httpx.Response(200, json=matching[first : first + size])

    def _token(self, request: httpx.Request) -> httpx.Response:
        said = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        client, secret = said.get("client_id"), said.get("client_secret")
        if "authorization" in request.headers:
            client, _, secret = base64.b64decode(request.headers["authorization"].split()[1]).decode().partition(":")
        if (client, secret) == (REALM.login_client, REALM.login_secret):
            return self.answers.get(f"token {said['grant_type']}", httpx.Response(500))
        if (client, secret) != (REALM.client, REALM.secret) or said["grant_type"] != "client_credentials":
            return httpx.Response(401, json={"error": "unauthorized_client"})
        self.tokens_made += 1
        token = f"service-{self.tokens_made}"
        self.good_tokens = {token}
        return httpx.Response(200, content=json.dumps({"access_token": token, "expires_in": 300}))
