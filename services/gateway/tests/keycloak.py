"""The part of Keycloak's admin API that the gateway uses, as an httpx2 transport: 26's paths and meanings."""

import base64
import json
from urllib.parse import parse_qs

import httpx2

from petit.gateway.adapters.directory import Realm

REALM = Realm(
    issuer="https://sso.test/realms/petit",
    admin="https://sso.test/admin/realms/petit",
    client="petit-gateway",
    secret="s3cret",
)
TOKEN_URL = f"{REALM.issuer}/protocol/openid-connect/token"


class FakeKeycloak:
    """People, service tokens, and what may go wrong with both."""

    def __init__(self, *names: str) -> None:
        self.users = [{"id": name, "username": name, "firstName": name.title(), "email": "x@y"} for name in names]
        self.good_tokens: set[str] = set()
        self.tokens_made = 0
        self.asked: list[str] = []
        self.status: int | None = None
        """What it answers to everything; None: what it should."""
        self.garbage = False
        self.unreachable = False

    def client(self) -> httpx2.AsyncClient:
        """Return a client whose requests end here."""
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        if self.unreachable:
            raise httpx2.ConnectError("down", request=request)
        if self.garbage:
            return httpx2.Response(200, content=b"<html>")
        if self.status is not None:
            return httpx2.Response(self.status)
        if str(request.url) == TOKEN_URL:
            return self._token(request)
        if request.headers["authorization"].removeprefix("Bearer ") not in self.good_tokens:
            return httpx2.Response(401, json={"error": "HTTP 401 Unauthorized"})
        path = request.url.path.removeprefix("/admin/realms/petit/users").strip("/")
        if path:
            found = next((user for user in self.users if user["id"] == path), None)
            return httpx2.Response(200, json=found) if found else httpx2.Response(404, json={"error": "User not found"})
        query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        first, size = int(query.get("first", 0)), int(query.get("max", 100))
        wanted = query.get("search", "").lower()
        found_users = [
            user
            for user in sorted(self.users, key=lambda user: user["username"])
            if user["username"].startswith(wanted) or user["firstName"].lower().startswith(wanted)
        ]
        return httpx2.Response(200, json=found_users[first : first + size])

    def _token(self, request: httpx2.Request) -> httpx2.Response:
        user, _, secret = base64.b64decode(request.headers["authorization"].split()[1]).decode().partition(":")
        if (user, secret) != (REALM.client, REALM.secret) or b"client_credentials" not in request.content:
            return httpx2.Response(401, json={"error": "unauthorized_client"})
        self.tokens_made += 1
        token = f"service-{self.tokens_made}"
        self.good_tokens = {token}
        return httpx2.Response(200, content=json.dumps({"access_token": token, "expires_in": 300}))
