"""Backups of the log, taken by the user `operator` as NATS's own tool takes them."""

import os

import pytest

from kit.tests.reading import SUBJECT
from petit.kit.jetstream import JetStream
from petit.kit.log import Log
from tests.nats.backups import back_up, restore
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
