"""Requests that somebody waits for on a hot path: plain callbacks of `petit.kit.rpc`.

An owner's requests come in on one subject a partition, subscribed while this replica holds its lease. The questions
that any replica answers share a queue group.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final, NoReturn

from nats.aio.msg import Msg
from pydantic import ValidationError

from petit.chat.handlers.reach import Reach
from petit.chat.ports import NotOwnerError
from petit.chat.subscribers.methods import Answering
from petit.contracts import rpc
from petit.contracts.problems import Code, Refused
from petit.contracts.subjects import CHAT_QUEUE, FOLDED, chat_any, chat_owner
from petit.kit.connection import Connection
from petit.kit.rpc import Service, call, serve

IN_FLIGHT: Final = 2_048
"""Requests that a subscription works on at once: a thousand joins of one room wait together."""
_PARTITION_TOKEN: Final = 2
"""Of `rpc.chat.<p>.<method>`."""
_UNSUBSCRIBED_S: Final = 0.01
"""In so many seconds we take no more requests to a partition that we lost."""
_HAND_ON_S: Final = 3.0


async def serve_any(nc: Connection, methods: Mapping[str, Answering]) -> list[Service]:
    """Take part in answering what any replica may be asked."""
    handler = partial(_handle, methods)
    return [
        await serve(nc, chat_any(name), handler, queue=CHAT_QUEUE, concurrency=IN_FLIGHT) for name in sorted(methods)
    ]


async def listen(nc: Connection, reach: Reach) -> None:
    """Learn from the other replicas how far they have folded."""

    async def on_folded(msg: Msg) -> None:
        try:
            note = rpc.Folded.model_validate_json(msg.data)
        except ValidationError:
            return  # not from a replica of ours
        reach.advance(note.partitions, to=note.offset)

    await nc.subscribe(FOLDED, cb=on_folded)


class Owning:
    """Answers the requests to partitions for as long as this replica owns them."""

    def __init__(self, nc: Connection, methods: Mapping[str, Answering]) -> None:
        self._nc = nc
        self._methods = methods
        self._owned: frozenset[int] = frozenset()
        self._services: dict[int, Service] = {}
        self._woken = asyncio.Event()

    def on_change(self, gained: frozenset[int], lost: frozenset[int]) -> None:
        """Take what the leases say."""
        self._owned = (self._owned | gained) - lost
        self._woken.set()

    async def run(self) -> NoReturn:
        """Subscribe and unsubscribe until cancelled."""
        async with asyncio.TaskGroup() as stopping:
            while True:
                await self._woken.wait()
                self._woken.clear()
                for p in self._services.keys() - self._owned:
                    stopping.create_task(self._services.pop(p).stop(), name=f"owning.stop {p}")
                for p in sorted(self._owned - self._services.keys()):
                    subject = chat_owner(p, "*")
                    self._services[p] = await serve(self._nc, subject, self._answer, concurrency=IN_FLIGHT)

    async def stop(self) -> None:
        """Take no more requests, and finish those taken, within seconds."""
        await asyncio.gather(*(service.stop() for service in self._services.values()))

    async def _answer(self, subject: str, payload: bytes) -> bytes:
        """Answer a request, or hand it on where another replica owns the partition by now.

        Raises:
            Refused: the handler refuses.
            Outage: no other replica answered in time.
        """
        if int(subject.split(".")[_PARTITION_TOKEN]) in self._owned:
            with suppress(NotOwnerError):
                return await _handle(self._methods, subject, payload)
        await asyncio.sleep(_UNSUBSCRIBED_S)
        return await call(self._nc, subject, payload, within=_HAND_ON_S)


async def _handle(methods: Mapping[str, Answering], subject: str, payload: bytes) -> bytes:
    """Answer the request to the method that a subject ends with.

    Raises:
        Refused: there is no such method, or it refuses.
    """
    name = subject.rpartition(".")[2]
    if name not in methods:
        raise Refused(Code.REQUEST_INVALID, f"the chat service has no method {name}")
    return await methods[name](payload)
