"""Backups of the log: a large one as the user `operator`, and in which order its parts are taken."""

import os

import pytest

from kit.tests.reading import SUBJECT, write
from petit.kit.connection import Connection
from petit.kit.errors import LogBehind
from petit.kit.jetstream import JetStream
from petit.kit.log import Log
from tests.nats.backups import Backup, back_up, restore
from tests.nats.cluster import Cluster

_LARGE = 6 * 1024 * 1024


@pytest.mark.timeout(120)
async def test_a_large_log_is_backed_up_by_the_operator_and_restored(nats: Cluster) -> None:
    async with nats.connected("chat") as chat, nats.connected("operator") as operator:
        log = Log(chat)
        payloads = [os.urandom(_LARGE) for _ in range(8)]
        for number, payload in enumerate(payloads):
            await log.append(SUBJECT, payload, msg_id=str(number))

        backup = await back_up(operator, "SIGNALS")
        await JetStream(operator).delete_stream("SIGNALS")
        await restore(operator, backup)

        assert backup.size > 40 * 1024 * 1024
        assert (await log.find(within=10)).last == len(payloads)
        assert [entry.payload for offset in range(1, 9) if (entry := await log.read(offset))] == payloads


async def test_a_memory_that_is_older_than_the_log_is_taken_and_a_newer_one_is_not(nats: Cluster) -> None:
    async with nats.connected("chat") as chat, nats.connected("operator") as operator:
        log = Log(chat)
        await write(log, 20)
        await log.find(remember=True, within=5)
        first_memory, first_log = await back_up(operator, "KV_PETIT"), await back_up(operator, "SIGNALS")
        await write(log, 20, first=21)
        await log.find(remember=True, within=5)
        later_memory, later_log = await back_up(operator, "KV_PETIT"), await back_up(operator, "SIGNALS")

        await _replace(operator, first_memory, later_log)
        assert (await log.find(within=5)).last == 40
        assert (await log.append(SUBJECT, b"x", msg_id="x")).offset == 41

        await _replace(operator, later_memory, first_log)
        with pytest.raises(LogBehind):
            await log.find(within=0.0)


async def _replace(operator: Connection, *backups: Backup) -> None:
    for backup in backups:
        await JetStream(operator).delete_stream(backup.config["name"])
        await restore(operator, backup)
