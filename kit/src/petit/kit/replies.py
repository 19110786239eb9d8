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


class _Question:
    """What waits for an answer: to the request that was sent last for it, or to one before."""

    __slots__ = ("answer", "subject", "tokens", "trouble", "turn")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.tokens: list[bytes] = []
        """Of the requests that may still be answered."""
        self.answer: bytes | None = None
        self.trouble: Unreached | Unanswered | None = None
        """Why the last request has no answer."""
        self.turn: asyncio.Future[None] | None = None
        """Done when there is either; None while nobody waits."""

    def end(self, trouble: Unreached | Unanswered | None = None) -> None:
        """End the wait."""
        if self.turn is not None and not self.turn.done():
            self.trouble = trouble
            self.turn.set_result(None)


class Replies:
    """The requests of one connection that wait for an answer."""

    __slots__ = ("_inbox", "_inbox_length", "_loop", "_nc", "_token", "_waiting")

    def __init__(self, nc: "Connection") -> None:
        self._nc = nc
        self._loop = asyncio.get_running_loop()
        self._inbox = ""
        self._inbox_length = 0
        self._token = 0
        self._waiting: dict[bytes, _Question] = {}

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
        question = _Question(subject)
        try:
            return await self._request(question, payload, within=within, header=header)
        finally:
            self._forget(question)

    async def insist(
        self, subject: str, payload: bytes = b"", *, within: float, patience: float | None = None
    ) -> bytes:
        """Send a request, again whenever nobody was there or the connection broke, and return the first answer.

        An answer between two requests counts; nothing is kept of a request that nobody was there for.

        Args:
            within: Seconds until the answer is of no use any more.
            patience: Seconds until it is sent again although somebody may be at work on it, each time twice as long;
                an answer to an earlier request counts. None: as long as the answer is of use.

        Raises:
            Outage: no answer in time.
        """
        deadline = time.monotonic() + within
        left, patience = within, within if patience is None else patience
        question = _Question(subject)
        try:
            while True:
                asked = time.monotonic()
                try:
                    return await self._request(question, payload, within=min(left, patience))
                except (Unreached, Unanswered) as error:
                    now = time.monotonic()
                    left = deadline - now - _PAUSE_S
                    if left <= 0:
                        if question.tokens:  # somebody may have taken it
                            raise Unanswered(f"{subject}: no answer within {within:.1f} s") from error
                        raise
                    if now - asked >= patience:
                        patience *= 2
                await asyncio.sleep(_PAUSE_S)
        finally:
            self._forget(question)

    def abandon(self) -> None:
        """Tell everyone who waits that the connection broke."""
        for question in self._waiting.values():
            question.end(Unanswered("the connection to NATS broke before an answer came"))

    async def _request(self, question: _Question, payload: bytes, *, within: float, header: bytes = b"") -> bytes:
        if question.answer is not None:
            return question.answer  # to a request before, between two
        self._token += 1
        token = b"%d" % self._token
        self._nc.write(question.subject, payload, reply=f"{self._inbox}.{self._token}", header=header)
        question.tokens.append(token)
        self._waiting[token] = question
        question.turn = self._loop.create_future()
        timer = self._loop.call_later(within, self._expire, question, within)
        try:
            await question.turn
        finally:
            timer.cancel()
        if question.answer is not None:
            return question.answer
        raise question.trouble or Unreached(f"{question.subject}: nobody answers")

    def _forget(self, question: _Question) -> None:
        for token in question.tokens:
            del self._waiting[token]

    def _on_reply(self, msg: Incoming) -> None:
        token = msg.subject[self._inbox_length :]
        question = self._waiting.get(token)
        if question is None:
            return
        if msg.header.startswith(_NO_RESPONDERS):
            question.tokens.remove(token)  # nobody will answer that one any more
            del self._waiting[token]
        else:
            question.answer = msg.payload
        question.end()

    @staticmethod
    def _expire(question: _Question, within: float) -> None:
        question.end(Unanswered(f"{question.subject}: no answer within {within:.1f} s"))
