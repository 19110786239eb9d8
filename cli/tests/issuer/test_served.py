"""The issuer as edges serve it: over real connections, with tokens verified the way the edges do it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import uvicorn

from petit.cli.issuer import issuer, user_id
from petit.kit.auth import Policy, verifying
from petit.kit.clock import SystemClock


@asynccontextmanager
async def served(data: Path) -> AsyncIterator[str]:
    """Serve an issuer on a free port and give its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with issuer(data, base_url=base_url) as app:
            server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
            serving = asyncio.create_task(server.serve([listening]))
            yield base_url
            server.should_exit = True
            await serving


async def test_tokens_are_verified_over_real_connections(data: Path) -> None:
    async with served(data) as base_url, httpx2.AsyncClient(trust_env=False) as client:
        policy = Policy(issuer=f"{base_url}/realms/petit", clients=frozenset({"petit-web"}))
        form = {"client_id": "petit-web", "grant_type": "password", "username": "ada", "password": "ada"}
        answer = await client.post(f"{policy.issuer}/protocol/openid-connect/token", data=form)

        async with verifying(policy, clock=SystemClock()) as verifier:
            principal = await verifier.verify(answer.json()["access_token"])

    assert principal.user == user_id("ada")
