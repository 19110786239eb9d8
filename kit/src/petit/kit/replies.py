"""Answers to requests: one inbox for a whole connection, and who waits for what.

nats-py's own `request` makes a NUID, a token and a `wait_for` for each request, and takes the answer by a
queue and a task. This says of each request that failed whether it was *unreached* or is *unanswered*, because
only the former may be tried again blindly, and costs half (measured, for a publish to JetStream: 9 against 19
microseconds).
"""

import asyncio
import time
from typing import TYPE_CHECKING, Final

from petit.kit.errors import Unanswered, Unreached
from petit.kit.wire import Incoming

if TYPE_CHECKING:
    from petit.kit.connection import Connection

_PAUSE_S: Final = 0.025
_NO_RESPONDERS: Final = b"NATS/1.0 503"


class Replies:
    """The requests of one connection that wait for an answer."""

    __slots__ = ("_inbox", "_inbox_length", "_loop", "_nc", "_token", "_waiting")

    def __init__(self, nc: "Connection") -> None:
        self._nc = nc
        self._loop = asyncio.get_running_loop()
        self._inbox = ""
        self._inbox_length = 0
        self._token = 0
        self._waiting: dict[bytes, asyncio.Future[bytes | None]] = {}

    async def start(self) -> None:
        """Subscribe to the inbox; once, after connecting."""
        inbox = self._nc.new_inbox()
        self._inbox_length = len(inbox) + 1
        await self._nc.listen(f"{inbox}.*", self._on_reply)
        self._inbox = inbox

    async def request(self, subject: str, payload: bytes = b"", *, within: float, header: bytes = b"") -> bytes:
        """Send a request and return the first answer.

        Args:
            within: Seconds until we give up.
            header: See `Connection.write`.

        Raises:
            Unreached: not connected, or nobody listens to the subject.
            Unanswered: no answer in time, or the connection broke meanwhile.
        """
        self._token += 1
        token = b"%d" % self._token
        self._nc.write(subject, payload, reply=f"{self._inbox}.{self._token}", header=header)
        future: asyncio.Future[bytes | None] = self._loop.create_future()
        self._waiting[token] = future
        timer = self._loop.call_later(within, self._expire, future, subject, within)
        try:
            answer = await future
        finally:
            timer.cancel()
            del self._waiting[token]
        if answer is None:
            raise Unreached(f"{subject}: nobody answers")
        return answer

    async def insist(
        self, subject: str, payload: bytes = b"", *, within: float, patience: float | None = None
    ) -> bytes:
        """Send a request, again whenever nobody was there or the connection broke, and return the first answer.

        Args:
            within: Seconds until the answer is of no use any more.
            patience: Seconds until an answer that does not come is asked for again, each time twice as long; None:
                as long as it is of use.

        Raises:
            Outage: no answer in time.
        """
        deadline = time.monotonic() + within
        left, patience = within, within if patience is None else patience
        while True:
            try:
                return await self.request(subject, payload, within=min(left, patience))
            except (Unreached, Unanswered) as error:
                left = deadline - time.monotonic() - _PAUSE_S
                if left <= 0:
                    raise
                if isinstance(error, Unanswered):
                    patience *= 2
            await asyncio.sleep(_PAUSE_S)

    def abandon(self) -> None:
        """Tell everyone who waits that the connection broke."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Unanswered("the connection to NATS broke before an answer came"))

    def _on_reply(self, msg: Incoming) -> None:
        future = self._waiting.get(msg.subject[self._inbox_length :])
        if future is not None and not future.done():
            future.set_result(None if msg.header.startswith(_NO_RESPONDERS) else msg.payload)

    @staticmethod
    def _expire(future: asyncio.Future[bytes | None], subject: str, within: float) -> None:
        if not future.done():
            future.set_exception(Unanswered(f"{subject}: no answer within {within:.1f} s"))
