"""The gateway as a process of its own, set up by the environment and nothing else."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from petit.kit.bootstrap import bootstrap
from petit.kit.connection import connect
from petit.kit.natsserver import NatsConfig, NatsServer
from petit.kit.ports import free_port
from petit.kit.stream import LogConfig
from services.gateway.tests.edge import code
from services.gateway.tests.jwks import REALM, keys_shown


@pytest.fixture
def issuer() -> int:
    """The port of an issuer, which is there in `keys_shown`."""
    return free_port()


@asynccontextmanager
async def gateway(
    folder: Path, *, issuer: int, **more: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx2.AsyncClient]]:
    """Run one, on a log server of its own, until the test has stopped it."""
    port = free_port()
    async with NatsServer(NatsConfig(store=folder)) as server:
        async with await connect(server.access, name="test") as nc:
            await bootstrap(nc, config=LogConfig(), within=10, say=print)
        settings = {
            "PORT": str(port),
            "NATS_URL": server.url,
            "NATS_TOKEN": server.token,
            "ISSUER": f"http://127.0.0.1:{issuer}{REALM}",
            "ADMIN_URL": "http://127.0.0.1:1/admin/realms/petit",
            "DIRECTORY_SECRET": "s3cret",
            **more,
        }
        environment = {f"PETIT_GATEWAY_{name}": value for name, value in settings.items()}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "petit.gateway", env=environment)
        try:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield process, client
                assert await asyncio.wait_for(process.wait(), 15) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, issuer: int, number: signal.Signals) -> None:
    async with keys_shown(issuer), gateway(tmp_path, issuer=issuer) as (process, client):
        await _becomes(client, 200)
        stranger = await client.get("/v1/me")
        known = await client.get("/v1/me", headers={"authorization": "Bearer x"})
        process.send_signal(number)

    assert code(stranger) == (401, "token.missing")
    assert code(known) == (401, "token.invalid")


async def test_on_its_way_out_it_is_not_ready_and_still_serves_for_a_while(tmp_path: Path, issuer: int) -> None:
    async with keys_shown(issuer), gateway(tmp_path, issuer=issuer, DRAIN_S="2") as (process, client):
        await _becomes(client, 200)
        process.send_signal(signal.SIGTERM)

        await _becomes(client, 503)
        assert (await client.get("/healthz")).status_code == 200
        assert code(await client.get("/v1/me")) == (401, "token.missing")
        assert process.returncode is None


async def test_it_is_not_ready_before_it_has_seen_a_key_of_the_issuer(tmp_path: Path, issuer: int) -> None:
    async with gateway(tmp_path, issuer=issuer) as (process, client):
        await _becomes(client, 503, because="keys")
        assert (await client.get("/healthz")).status_code == 200
        async with keys_shown(issuer):
            await _becomes(client, 200)
        process.send_signal(signal.SIGTERM)


async def _becomes(client: httpx2.AsyncClient, status: int, *, because: str = "") -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await client.get("/readyz")
                if answer.status_code == status and because in answer.text:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
