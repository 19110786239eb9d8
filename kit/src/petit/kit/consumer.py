"""One making of the consumer behind a feed.

It is ephemeral, pushes, keeps its state in memory and wants no acknowledgements. The subject that each message
would be acknowledged on says where it stands: in the stream (its offset), in what this consumer has sent
(its number, from 1), and how many are still to come (ADR-15 of NATS; both formats end alike). Idle heartbeats
say how many it has sent and how far it has looked; flow control asks now and then whether it may go on.

A consumer that missed something is over: it delivers nothing more, and says why.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from petit.kit.connection import Connection
from petit.kit.errors import Outage
from petit.kit.jetstream import NANOSECONDS, JetStream
from petit.kit.log import Entry

HEARTBEAT_S: Final = 0.5
_GONE_AFTER_S: Final = 5.0
"""Seconds after which the server forgets a consumer that nobody listens to."""
_WITHIN_S: Final = 1.0
_QUEUE_BYTES: Final = 16 * 1024 * 1024
"""What may wait to be delivered, in payload bytes; nats-py drops what comes beyond it."""
_ENTRY: Final = "$JS.ACK."
_LAST_NUMBER: Final = "Nats-Last-Consumer"
_LAST_OFFSET: Final = "Nats-Last-Stream"
_STALLED: Final = "Nats-Consumer-Stalled"

Receive = Callable[[Entry, int, int], None]
"""Takes an entry, its number, and how many were still to come when it was sent."""
Looked = Callable[[int], None]
"""Takes the offset up to which the consumer has found nothing more."""


class Consumer:
    """A consumer from its making to its end.

    Args:
        receive: Called for each entry, in order. What it raises ends the consumer, and is `error`.
        looked: Called when the consumer is at the end of the stream.
        open_gate: Nothing is delivered while it is not set.
    """

    def __init__(self, nc: Connection, *, receive: Receive, looked: Looked, open_gate: asyncio.Event) -> None:
        self._nc = nc
        self._receive = receive
        self._looked = looked
        self._gate = open_gate
        self._number = 0
        self._subscription: Subscription | None = None
        self.heard = time.monotonic()
        """When the last message came, `time.monotonic()`."""
        self.over = asyncio.Event()
        self.reason = ""
        """Why it is over."""
        self.error: Exception | None = None

    @property
    def queued(self) -> int:
        """How many messages have arrived and wait for their turn."""
        return 0 if self._subscription is None else self._subscription.pending_msgs

    @property
    def queued_bytes(self) -> int:
        """How large they are together: payloads only."""
        return 0 if self._subscription is None else self._subscription.pending_bytes

    async def open(self, stream: str, *, name: str, start: int, subjects: Sequence[str]) -> None:
        """Make the consumer; it sends the entry at `start` and all later ones.

        Args:
            name: Prefix of its name on the server.
            subjects: Filters; empty for everything.

        Raises:
            Outage: the server did not make it, or did not say so in time.
        """
        inbox = self._nc.new_inbox()
        config = {
            "name": f"{name}-{inbox.rpartition('.')[2]}",
            "deliver_subject": inbox,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": max(1, start),
            "ack_policy": "none",
            "replay_policy": "instant",
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT_S * NANOSECONDS),
            "inactive_threshold": int(_GONE_AFTER_S * NANOSECONDS),
            "mem_storage": True,
            "num_replicas": 1,
            "filter_subjects": list(subjects),
        }
        self._subscription = await self._nc.subscribe(inbox, cb=self._on_message, pending_bytes_limit=_QUEUE_BYTES)
        try:
            await JetStream(self._nc).create_consumer(stream, config, within=_WITHIN_S)
        except Outage:
            await self.close()
            raise
        self.heard = time.monotonic()

    def give_up(self, reason: str) -> None:
        """Deliver nothing more. The first reason stands."""
        if not self.over.is_set():
            self.reason = reason
            self.over.set()

    async def close(self) -> None:
        """Stop listening; the server forgets the consumer by itself."""
        self.give_up("closed")
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._nc.is_closed and not self._nc.is_draining:
            await subscription.unsubscribe()

    async def _on_message(self, msg: Msg) -> None:
        if not self._gate.is_set():
            await self._gate.wait()
        if self.over.is_set():
            return
        if not msg.reply.startswith(_ENTRY):
            await self._on_control(msg)
            return
        _, offset, number, time_ns, pending = msg.reply.rsplit(".", 4)
        if int(number) != self._number + 1:
            self.give_up(f"entry {number} came after entry {self._number}")
            return
        self._number += 1
        self.heard = time.monotonic()
        try:
            self._receive(
                Entry(int(offset), msg.subject, msg.data, int(time_ns), msg.headers), self._number, int(pending)
            )
        except Exception as error:  # noqa: BLE001 - raised again by the feed, which must not go on behind it
            self.error = error
            self.give_up("delivery failed")

    async def _on_control(self, msg: Msg) -> None:
        self.heard = time.monotonic()
        headers = msg.headers or {}
        if msg.reply:
            await self._nc.publish(msg.reply)  # flow control: all before it has been delivered, so go on
            return
        stalled = headers.get(_STALLED)
        if stalled:
            await self._nc.publish(stalled)
        if int(headers.get(_LAST_NUMBER, -1)) != self._number:
            self.give_up(f"heartbeat says {headers.get(_LAST_NUMBER)} were sent, {self._number} came")
        elif not stalled:
            self._looked(int(headers[_LAST_OFFSET]))
