"""Every service does its work as its own user of NATS, and none ever tries what it may not."""

import asyncio
import json
from pathlib import Path

import httpx2
import pytest

from petit.contracts.ids import UserId
from petit.contracts.rpc import Do, DoBatch, Done
from petit.contracts.subjects import GATEWAY_DO
from petit.kit.rpc import ask
from tests.nats.cluster import Cluster, cluster
from tests.nats.services import Services, frames, services


async def _talk(running: Services) -> None:
    """Let two people meet in a room: by REST, and on a stream that a ticket opened."""
    async with running.client("ada") as ada, running.client("bob") as bob:
        room = (await ada.post("/v1/chats", json={"kind": "room", "title": "Tea"})).raise_for_status().json()["id"]
        (await bob.post(f"/v1/chats/{room}/join")).raise_for_status()
        ticket = (await bob.post("/v1/tickets")).raise_for_status().json()["ticket"]
        url = f"{running.notifier}/v1/stream?ticket={ticket}"
        async with httpx2.AsyncClient(trust_env=False, timeout=15) as client, client.stream("GET", url) as stream:
            heard = frames(stream.raise_for_status())
            await anext(heard)

            sent = (await ada.post(f"/v1/chats/{room}/messages", json={"text": "hello"})).raise_for_status().json()

            async with asyncio.timeout(15):
                while (frame := await anext(heard)).get("type") != "msg":
                    pass
        assert frame["data"]["text"] == "hello"  # type: ignore[index]  # a frame as the wire has it
        path = f"/v1/chats/{room}/messages?min_offset={sent['offset']}"
        page = (await bob.get(path)).raise_for_status().json()
        assert [message["text"] for message in page["items"]] == ["hello"]
        assert (await bob.get("/v1/chats")).raise_for_status().json()["items"][0]["id"] == room


@pytest.mark.timeout(120)
async def test_services_work_as_their_own_users_and_try_nothing_more(nats: Cluster, tmp_path: Path) -> None:
    async with services(nats, tmp_path) as running:
        await running.ready()
        await _talk(running)
        async with nats.connected("notifier") as nc:
            batch = DoBatch(items=(Do(user=UserId("ada"), do="send", text="{}"),))
            done, _ = await ask(nc, GATEWAY_DO, batch, body=Done, within=10)
        assert done.items[0].status == 422

    refused = [line for node in nats.nodes for line in node.log.splitlines() if "violation" in line.lower()]
    assert refused == []


@pytest.mark.timeout(120)
async def test_they_wait_until_bootstrap_has_run(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:

        async def later() -> None:
            await asyncio.sleep(3)
            await made.bootstrap()

        async with asyncio.TaskGroup() as tasks, services(made, tmp_path) as running:
            tasks.create_task(later())
            await running.ready()
            await _talk(running)


async def test_where_bootstrap_never_runs_each_ends_and_says_what_to_run(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made, services(made, tmp_path, BOOTSTRAP_WAIT_S="0.5") as running:
        for process in running.processes.values():
            _, said = await process.communicate()
            last = json.loads(said.splitlines()[-1])

            assert process.returncode == 1
            assert last["event"] == "process.failed"
            assert "run `petit bootstrap`" in last["reason"]
