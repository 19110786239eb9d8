"""A chat replica as a process of its own, set up by the environment: its probes, and its end."""

import asyncio
import signal
import sys
from pathlib import Path

import httpx2

from petit.kit.bootstrap import bootstrap
from petit.kit.connection import connect
from petit.kit.natsserver import NatsServer
from petit.kit.ports import free_port
from petit.kit.stream import LogConfig


async def test_it_is_ready_until_the_log_is_gone_and_alive_until_it_is_told_to_stop(
    server: NatsServer, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        "PETIT_CHAT_PORT": str(port),
        "PETIT_CHAT_NATS_URL": server.url,
        "PETIT_CHAT_NATS_TOKEN": server.token,
        "PETIT_CHAT_STORE": str(tmp_path / "chat.db"),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "petit.chat", env=environment)
    async with await connect(server.access, name="test") as nc:
        await bootstrap(nc, config=LogConfig(), within=10, say=print)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert await _becomes(client, 200)

        server.kill()

        assert await _becomes(client, 503)
        assert (await client.get("/healthz")).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def _becomes(client: httpx2.AsyncClient, status: int) -> bool:
    async with asyncio.timeout(30):
        while True:
            try:
                if (await client.get("/readyz")).status_code == status:
                    return True
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
