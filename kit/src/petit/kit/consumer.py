"""One making of the consumer behind a feed.

It is ephemeral, pushes, keeps its state in memory and wants no acknowledgements. The subject that each message
would be acknowledged on says where it stands: in the stream (its offset), in what this consumer has sent
(its number, from 1), and how many are still to come (ADR-15 of NATS; both formats end alike). Idle heartbeats
say how many it has sent and how far it has looked; flow control asks now and then whether it may go on.

A consumer that missed something is over: it delivers nothing more, and says why.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from petit.kit.connection import Connection, Listening
from petit.kit.errors import Unreached
from petit.kit.jetstream import NANOSECONDS, JetStream
from petit.kit.log import Entry
from petit.kit.wire import Incoming

HEARTBEAT_S: Final = 0.5
_GONE_AFTER_S: Final = 5.0
"""Seconds after which the server forgets a consumer that nobody listens to."""
_WITHIN_S: Final = 1.0
_KEPT_BYTES: Final = 4 * 1024 * 1024
"""What may wait while the gate is closed; beyond it the consumer is over and its entries are read again."""
_OVERHEAD_BYTES: Final = 300
"""What a message takes besides its payload."""
_BATCH: Final = 100
"""How many of what waited are delivered in one turn of the loop."""
_ENTRY: Final = b"$JS.ACK."
_HEARTBEAT: Final = re.compile(
    rb"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: (\d+)\r\nNats-Last-Stream: (\d+)\r\n"
    rb"(?:Nats-Consumer-Stalled: (\S+)\r\n)?"
)

Receive = Callable[[Entry, int, int], None]
"""Takes an entry, its number, and how many were still to come when it was sent."""
Looked = Callable[[int], None]
"""Takes the offset up to which the consumer has found nothing more."""


class Consumer:
    """A consumer from its making to its end.

    Args:
        receive: Called for each entry, in order. What it raises ends the consumer, and is `error`.
        looked: Called when the consumer is at the end of the stream.
    """

    def __init__(self, nc: Connection, *, receive: Receive, looked: Looked, paused: bool) -> None:
        self._nc = nc
        self._receive = receive
        self._looked = looked
        self._paused = paused
        self._held: deque[Incoming] = deque()
        self._held_bytes = 0
        self._number = 0
        self._listening: Listening | None = None
        self.heard = time.monotonic()
        """When the last message came, `time.monotonic()`."""
        self.over = asyncio.Event()
        self.reason = ""
        """Why it is over."""
        self.error: Exception | None = None

    @property
    def holds(self) -> bool:
        """Whether something has come that was not delivered yet."""
        return bool(self._held)

    async def open(
        self, stream: str, *, name: str, start: int, subjects: Sequence[str], since: datetime | None = None
    ) -> None:
        """Make the consumer; it sends the entry at `start` and all later ones.

        Args:
            name: Prefix of its name on the server.
            subjects: Filters; empty for everything.
            since: In place of `start`: the first entry that was stored then or later.

        Raises:
            Outage: the server did not make it, or did not say so in time.
        """
        inbox = self._nc.new_inbox()
        config = {
            "name": f"{name}-{inbox.rpartition('.')[2]}",
            "deliver_subject": inbox,
            "ack_policy": "none",
            "replay_policy": "instant",
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT_S * NANOSECONDS),
            "inactive_threshold": int(_GONE_AFTER_S * NANOSECONDS),
            "mem_storage": True,
            "num_replicas": 1,
            **_beginning(start, since),
            **_filter(subjects),
        }
        self._listening = await self._nc.listen(inbox, self._on_message)
        try:
            await JetStream(self._nc).create_consumer(stream, config, within=_WITHIN_S)
        except BaseException:  # also when cancelled: the server may make it all the same
            await self.close()
            raise
        self.heard = time.monotonic()

    def pause(self) -> None:
        """Keep what comes, until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Deliver what was kept, and what comes."""
        if self._paused:
            self._paused = False
            self._drain()

    def give_up(self, reason: str) -> None:
        """Deliver nothing more. The first reason stands."""
        if not self.over.is_set():
            self.reason = reason
            self.over.set()
            self._held.clear()

    async def close(self) -> None:
        """Stop listening; the server forgets the consumer by itself."""
        self.give_up("closed")
        if self._listening is not None:
            await self._listening.stop()

    def _on_message(self, msg: Incoming) -> None:
        self.heard = time.monotonic()
        if not self._paused and not self._held:
            self._take(msg)
        elif not self.over.is_set():
            self._held.append(msg)
            self._held_bytes += len(msg.payload) + _OVERHEAD_BYTES
            if self._held_bytes > _KEPT_BYTES:
                self.give_up("paused for long")

    def _drain(self) -> None:
        for _ in range(_BATCH):
            if self._paused or not self._held:
                return
            msg = self._held[0]
            self._take(msg)
            if self._held:  # not given up meanwhile
                self._held.popleft()
                self._held_bytes -= len(msg.payload) + _OVERHEAD_BYTES
        asyncio.get_running_loop().call_soon(self._drain)

    def _take(self, msg: Incoming) -> None:
        if self.over.is_set():
            return
        if not msg.reply.startswith(_ENTRY):
            self._control(msg)
            return
        _, offset, number, time_ns, pending = msg.reply.rsplit(b".", 4)
        if int(number) != self._number + 1:
            self.give_up(f"entry {int(number)} came after entry {self._number}")
            return
        self._number += 1
        entry = Entry(int(offset), msg.subject.decode(), msg.payload, int(time_ns))
        try:
            self._receive(entry, self._number, int(pending))
        except Exception as error:  # noqa: BLE001 - raised again by the feed, which must not go on behind it
            self.error = error
            self.give_up("delivery failed")

    def _control(self, msg: Incoming) -> None:
        beat = _HEARTBEAT.match(msg.header)
        if beat is None:
            self._go_on(msg.reply)  # flow control: all before it has been delivered
            return
        number, offset, stalled = beat.groups()
        self._go_on(stalled)
        if int(number) != self._number:
            self.give_up(f"{int(number)} entries were sent, {self._number} came")
        elif not stalled:
            self._looked(int(offset))

    def _go_on(self, reply: bytes | None) -> None:
        if reply:
            with suppress(Unreached):
                self._nc.write(reply.decode(), b"")


def _beginning(start: int, since: datetime | None) -> dict[str, object]:
    if since is None:
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": max(1, start)}
    return {"deliver_policy": "by_start_time", "opt_start_time": since.isoformat()}


def _filter(subjects: Sequence[str]) -> dict[str, object]:
    match subjects:
        case []:
            return {}
        case [subject]:
            return {"filter_subject": subject}
        case _:
            return {"filter_subjects": list(subjects)}
