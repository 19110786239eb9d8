"""`petit bootstrap`, as the job of compose and Kubernetes runs it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from petit.kit.jetstream import JetStream
from tests.nats.cluster import Cluster, cluster, password_of


async def petit(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "petit.cli",
        *arguments,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


def settings(made: Cluster, **more: str) -> dict[str, str]:
    """Return the environment of the job."""
    wanted = {"NATS_URL": made.url, "NATS_USER": "bootstrap", "NATS_PASSWORD": password_of("bootstrap"), **more}
    return {f"PETIT_BOOTSTRAP_{name}": value for name, value in wanted.items()}


async def replicas(made: Cluster) -> dict[str, int]:
    """Return how many copies there are of each stream."""
    async with made.connected("operator") as nc:
        js = JetStream(nc)
        names = ("SIGNALS", "KV_PETIT", "KV_TICKETS", "KV_LEASES")
        states = {name: await js.stream(name) for name in names}
    return {name: state.config["num_replicas"] for name, state in states.items() if state is not None}


async def test_it_waits_for_the_servers_and_two_at_once_make_everything_once(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        for node in made.nodes:
            node.kill()
        wanted = settings(made, REPLICAS="3")
        running = [asyncio.create_task(petit("bootstrap", **wanted)) for _ in range(2)]
        await asyncio.sleep(1)
        for node in made.nodes:
            node.start()

        for code, out, err in await asyncio.gather(*running):
            assert (code, err) == (0, "")
            assert "epoch 1, 0 signals, 3 replicas" in out
            assert "buckets: PETIT, TICKETS, LEASES" in out
        assert set((await replicas(made)).values()) == {3}


async def test_it_changes_the_number_of_replicas_and_loses_nothing(nats: Cluster) -> None:
    for wanted in ("1", "3"):
        code, out, err = await petit("bootstrap", **settings(nats, REPLICAS=wanted))

        assert (code, err) == (0, "")
        assert "epoch 1" in out
        assert set((await replicas(nats)).values()) == {int(wanted)}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"NATS_URL": ""}, "PETIT_BOOTSTRAP_NATS_URL"),
        ({"NATS_USER": ""}, "a NATS user and its password are set together"),
        ({"REPLICAS": "9"}, "PETIT_BOOTSTRAP_REPLICAS"),
        ({"NATS_PASSWORD": "wrong", "WAIT_S": "0"}, "no NATS server"),
        ({"NATS_CA": "/nowhere"}, "/nowhere"),
    ],
)
async def test_what_is_set_wrong_is_named(nats: Cluster, wrong: dict[str, str], words: str) -> None:
    wanted = settings(nats, **wrong)
    for name in [name for name, value in wanted.items() if not value]:
        del wanted[name]

    code, _, err = await petit("bootstrap", **wanted)

    assert code == 1
    assert words in err
    assert "Traceback" not in err
