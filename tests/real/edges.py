"""Services as processes of their own, two of each edge, in front of a real Keycloak; everything else is ours."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from petit.kit.bootstrap import bootstrap
from petit.kit.connection import connect
from petit.kit.natsserver import NatsConfig, NatsServer
from petit.kit.ports import free_ports
from petit.kit.stream import LogConfig
from tests.e2e.cutting import Wire, wired
from tests.e2e.waiting import eventually
from tests.real.servers import Keycloak

READY_S: Final = 60.0
CLIENTS: Final = '["petit-web", "petit-login", "petit-brief", "petit-elsewhere"]'
"""Apps whose tokens are taken; the last two are made by tests."""


@dataclass
class Realm:
    """The realm `petit` of a Keycloak, as people and as its administrators see it."""

    keycloak: Keycloak
    http: httpx2.AsyncClient
    _token: str = field(default="")

    @property
    def url(self) -> str:
        """The issuer."""
        return f"{self.keycloak.url}/realms/petit"

    async def log_in(self, username: str, *, client: str = "petit-web", at: str | None = None) -> dict[str, Any]:
        """Log in by password, which is the username, and return the grant.

        While Keycloak still writes down somebody's last log-in it turns the next one away, as if they were locked.
        """
        form = {"grant_type": "password", "client_id": client, "username": username, "password": username}
        url = f"{at or self.url}/protocol/openid-connect/token"

        async def grant() -> dict[str, Any] | None:
            answer = await self.http.post(url, data=form | {"scope": "openid"})
            return answer.json() if answer.is_success else None

        granted = await eventually(grant, within_s=15, what=f"{username} is let in")
        assert granted is not None
        return granted

    async def admin(self, method: str, path: str, **request: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        """Do something as Keycloak's own administrator, which must work."""
        form = {"client_id": "admin-cli", "grant_type": "password", "username": self.keycloak.admin_user}
        entered = await self.http.post(
            f"{self.keycloak.url}/realms/master/protocol/openid-connect/token",
            data=form | {"password": self.keycloak.admin_password},
        )
        headers = {"authorization": f"Bearer {entered.json()['access_token']}"}
        url = f"{self.keycloak.url}/admin/realms/petit{path}"
        answer = await self.http.request(method, url, headers=headers, **request)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    async def known_as(self, url: str) -> None:
        """Have Keycloak say this address in tokens, whatever address it is asked at; empty: the one it is asked at."""
        whole = (await self.admin("GET", "")).json()
        await self.change(attributes=whole["attributes"] | {"frontendUrl": url})

    async def change(self, **changes: object) -> dict[str, Any]:
        """Change settings of the realm, and return what all were before: Keycloak removes what is left out."""
        before: dict[str, Any] = (await self.admin("GET", "")).json()
        await self.admin("PUT", "", json=before | changes)
        return before

    async def add(self, username: str, **more: object) -> str:
        """Make somebody whose password is the username, and return the id."""
        credentials = [{"type": "password", "value": username, "temporary": False}]
        body = {"username": username, "enabled": True, "credentials": credentials} | more
        answer = await self.admin("POST", "/users", json=body)
        return answer.headers["location"].rsplit("/", 1)[1]

    async def client(self, name: str, **more: object) -> None:
        """Make or replace a public app for which passwords are looked at."""
        for old in (await self.admin("GET", f"/clients?clientId={name}")).json():
            await self.admin("DELETE", f"/clients/{old['id']}")
        body = {"clientId": name, "publicClient": True, "directAccessGrantsEnabled": True, "enabled": True} | more
        await self.admin("POST", "/clients", json=body)


@dataclass
class Edges:
    """Two gateways and two notifiers, each on a port of its own."""

    realm: Realm
    wire: Wire
    """What gateways ask Keycloak's admin and token endpoints through."""
    gateways: list[str]
    notifiers: list[str]
    processes: dict[str, Process]
    environments: dict[str, dict[str, str]]
    folder: Path
    """All that they store, and what each of them logs."""

    def stored(self, text: str) -> list[str]:
        """Return the files that hold a text."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return [str(path.relative_to(self.folder)) for path in files if text.encode() in path.read_bytes()]

    async def statuses(self, token: str) -> set[tuple[int, str]]:
        """Return what each gateway says to a token."""
        said = set()
        for url in self.gateways:
            answer = await self.realm.http.get(f"{url}/v1/me", headers={"authorization": f"Bearer {token}"})
            said.add((answer.status_code, answer.json().get("code", "")))
        return said

    async def restart(self, name: str) -> None:
        """Kill a process, and start it anew."""
        self.processes[name].kill()
        await self.processes[name].wait()
        await self.start(name)

    async def start(self, name: str) -> None:
        """Start a process, and wait until it is ready."""
        environment = self.environments[name]
        with (self.folder / f"{name}.log").open("ab") as logged:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"petit.{name.partition('-')[0]}"),
                env=os.environ | environment,
                stdout=logged,
                stderr=logged,
            )
        (port,) = (value for key, value in environment.items() if key.endswith("_PORT"))

        async def ready() -> bool:
            try:
                return (await self.realm.http.get(f"http://127.0.0.1:{port}/readyz")).is_success
            except httpx2.TransportError:
                return False

        await eventually(ready, within_s=READY_S, what=f"{name} is ready")


@asynccontextmanager
async def edges(keycloak: Keycloak, folder: Path) -> AsyncIterator[Edges]:
    """Run them until the block ends."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(trust_env=False, timeout=30))
        wire = await stack.enter_async_context(wired(urlsplit(keycloak.url).port or 80))
        nats = await stack.enter_async_context(NatsServer(NatsConfig(store=folder / "nats")))
        async with await connect(nats.access, name="test") as nc:
            await bootstrap(nc, config=LogConfig(), within=10, say=print)
        ports = free_ports(5)
        realm = Realm(keycloak, http)
        environments = {"chat": {"PETIT_CHAT_PORT": str(ports[4]), "PETIT_CHAT_STORE": str(folder / "chat.db")}}
        for number in range(2):
            environments[f"gateway-{number}"] = {
                "PETIT_GATEWAY_HOST": "0.0.0.0",  # noqa: S104 - Keycloak's container has to reach it
                "PETIT_GATEWAY_PORT": str(ports[number]),
                "PETIT_GATEWAY_ISSUER": realm.url,
                "PETIT_GATEWAY_CLIENTS": CLIENTS,
                "PETIT_GATEWAY_ADMIN_URL": f"{wire.url}/admin/realms/petit",
                "PETIT_GATEWAY_DIRECTORY_SECRET": keycloak.gateway_secret,
                "PETIT_GATEWAY_LOGIN_SECRET": keycloak.login_secret,
                "PETIT_GATEWAY_LOGINS_PER_S": "100",
            }
            environments[f"notifier-{number}"] = {
                "PETIT_NOTIFIER_PORT": str(ports[2 + number]),
                "PETIT_NOTIFIER_ISSUER": realm.url,
                "PETIT_NOTIFIER_CLIENTS": CLIENTS,
            }
        for name, environment in environments.items():
            prefix = f"PETIT_{name.partition('-')[0].upper()}"
            environment |= {f"{prefix}_NATS_URL": nats.url, f"{prefix}_NATS_TOKEN": nats.token}
        environments["gateway-1"]["PETIT_GATEWAY_ISSUER_URL_INSIDE"] = f"{wire.url}/realms/petit"
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        made = Edges(realm, wire, urls[:2], urls[2:4], {}, environments, folder)
        await realm.known_as(keycloak.url)  # through the wire, too: no edge is ready before it has seen keys
        try:
            await asyncio.gather(*map(made.start, environments))
            yield made
        finally:
            for process in made.processes.values():
                process.kill()
            for process in made.processes.values():
                await process.wait()
