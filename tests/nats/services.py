"""The services as processes of their own, each as its own user of NATS, and an issuer that signs what they take."""

import asyncio
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from petit.kit.ports import free_ports
from petit.kit.serving import listen, serving
from tests.nats.cluster import Cluster, password_of

REALM = "/realms/petit"


class Issuer:
    """Signs access tokens, and shows its key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, user: str) -> str:
        """Return a token of a person."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": user,
            "aud": ["petit-api"],
            "azp": "petit-web",
            "iat": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
            "typ": "Bearer",
            "sid": f"session-of-{user}",
            "preferred_username": user,
            "realm_access": {"roles": ["USER"]},
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": "k"})

    async def discovery(self, _: Request) -> JSONResponse:
        """Say where the key is."""
        return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/certs"})

    async def certs(self, _: Request) -> JSONResponse:
        """Show the key."""
        jwk = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return JSONResponse({"keys": [jwk | {"kid": "k", "alg": "RS256"}]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Where they are."""

    issuer: Issuer
    gateway: str
    notifier: str
    chat: str
    processes: dict[str, asyncio.subprocess.Process]

    def client(self, user: str) -> httpx2.AsyncClient:
        """Return a client of the gateway for one person."""
        headers = {"authorization": f"Bearer {self.issuer.token(user)}"}
        return httpx2.AsyncClient(base_url=self.gateway, headers=headers, trust_env=False, timeout=15)

    async def ready(self, *, within: float = 30) -> None:
        """Wait until all are."""
        async with asyncio.timeout(within), httpx2.AsyncClient(trust_env=False) as client:
            for url in (self.chat, self.gateway, self.notifier):
                while not await _is_ready(client, url):  # noqa: ASYNC110 - a process has no event
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def services(made: Cluster, folder: Path, **more: str) -> AsyncIterator[Services]:
    """Run a gateway, a notifier and a chat; at the end they stop in order, and say so by their exit codes.

    Args:
        made: Their NATS.
        folder: Where the read model goes.
        more: Further settings of all of them.
    """
    ports = free_ports(4)
    issuer = Issuer(f"http://127.0.0.1:{ports[3]}{REALM}")
    shown = Starlette(
        routes=[
            Route(f"{REALM}/.well-known/openid-configuration", issuer.discovery),
            Route(f"{REALM}/certs", issuer.certs),
        ]
    )
    own = {
        "chat": {"STORE": str(folder / "chat.db")},
        "notifier": {"ISSUER": issuer.url},
        "gateway": {
            "ISSUER": issuer.url,
            "ADMIN_URL": issuer.url.replace(REALM, f"/admin{REALM}"),
            "DIRECTORY_SECRET": "s3cret",
        },
    }
    processes: dict[str, asyncio.subprocess.Process] = {}
    async with serving(shown, sock=listen("127.0.0.1", port=ports[3])):
        try:
            for (name, settings), port in zip(own.items(), ports, strict=False):
                common = {
                    "NATS_URL": made.url,
                    "NATS_USER": name,
                    "NATS_PASSWORD": password_of(name),
                    "PORT": str(port),
                }
                prefix = f"PETIT_{name.upper()}_"
                environment = {f"{prefix}{key}": value for key, value in {**common, **settings, **more}.items()}
                processes[name] = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    f"petit.{name}",
                    env={**os.environ, **environment},
                    stderr=asyncio.subprocess.PIPE,
                )
            urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(own, ports, strict=False)}
            running = Services(issuer=issuer, processes=processes, **urls)
            yield running
            left = [process for process in processes.values() if process.returncode is None]
            for process in left:
                process.send_signal(signal.SIGTERM)
            assert [await asyncio.wait_for(process.wait(), 20) for process in left] == [0] * len(left)
        finally:
            for process in processes.values():
                if process.returncode is None:
                    process.kill()
                    await process.wait()


async def frames(response: httpx2.Response) -> AsyncIterator[dict[str, object]]:
    """Yield what a stream of events says, as the objects that it carries."""
    async for line in response.aiter_lines():
        if line.startswith("data:") and line.strip() != "data:":
            yield json.loads(line.removeprefix("data:"))


async def _is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return bool((await client.get(f"{url}/readyz")).status_code == httpx2.codes.OK)
    except httpx2.TransportError:
        return False
