"""The gateway as a process of its own, set up by the environment and nothing else."""

import asyncio
import signal
import sys
from pathlib import Path

import httpx2
import pytest

from petit.kit.bootstrap import bootstrap
from petit.kit.connection import connect
from petit.kit.natsserver import NatsConfig, NatsServer
from petit.kit.serving import listen
from petit.kit.stream import LogConfig
from services.gateway.tests.edge import code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    sock = listen("127.0.0.1", port=0)
    port = sock.getsockname()[1]
    sock.close()
    async with NatsServer(NatsConfig(store=tmp_path)) as server:
        async with await connect(server.access, name="test") as nc:
            await bootstrap(nc, config=LogConfig(), within=10, say=print)
        environment = {
            "PETIT_GATEWAY_PORT": str(port),
            "PETIT_GATEWAY_NATS_URL": server.url,
            "PETIT_GATEWAY_NATS_TOKEN": server.token,
            "PETIT_GATEWAY_ISSUER": "http://127.0.0.1:1/realms/petit",
            "PETIT_GATEWAY_ADMIN_URL": "http://127.0.0.1:1/admin/realms/petit",
            "PETIT_GATEWAY_DIRECTORY_SECRET": "s3cret",
        }
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "petit.gateway", env=environment)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            ready = await _answers(client, "/readyz")
            stranger = await client.get("/v1/me")
            known = await client.get("/v1/me", headers={"authorization": "Bearer x"})
        process.send_signal(number)

        assert await asyncio.wait_for(process.wait(), 15) == 0
    assert ready.status_code == 200
    assert code(stranger) == (401, "token.missing")
    assert code(known) == (401, "token.invalid")


async def _answers(client: httpx2.AsyncClient, path: str) -> httpx2.Response:
    async with asyncio.timeout(30):
        while True:
            try:
                response = await client.get(path)
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
                continue
            if response.status_code == httpx2.codes.OK:
                return response
            await asyncio.sleep(0.05)
