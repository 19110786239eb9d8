"""Request and reply between processes.

Ownership of partitions moves and servers restart, so whoever asks tries again for as long as its answer is
wanted: at once when nobody was there or the connection broke; after a silence, which may mean a handler at work, only
where it says how long its patience is. A partition's owner that is silent may have died, or sleep, and another have
taken over: its handlers take a repetition, because every command carries an id.

An answer is the bytes of an `Answer` of `petit.contracts.rpc`. A handler that refuses raises `Refused`;
`serve` makes the problem of it. Anything else that it raises is a bug: logged with its traceback and answered by
`internal`. `call` and `Handler` move bytes, for whoever encodes by himself; `ask` and `answer` move models.

This is plain NATS; docs/adr says what FastStream would cost here.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import structlog
from pydantic import BaseModel

from petit.contracts.ids import Offset
from petit.contracts.problems import Code, Problem, Refused
from petit.contracts.rpc import Answer
from petit.kit.connection import Connection, Listening
from petit.kit.errors import Busy, Outage, Unreached
from petit.kit.wire import Incoming

PATIENCE_S: Final = 1.0
"""With the owner of a partition, whose answers take milliseconds, and seconds only while it changes hands."""
_CONFIRM_S: Final = 1
_FINISH_S: Final = 5.0
_INBOXES: Final = b"_INBOX"
_WAITING: Final = 8

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Handler = Callable[[str, bytes], Awaitable[bytes]]
"""Takes the subject and the request, gives the answer's bytes; raises `Refused` to refuse."""


_ANY: Final = Answer[Any]
_NONE: Final = Answer[None]


_ANSWERS: Final[dict[object, type[Answer[Any]]]] = {}


def _answer_of(body: type[T]) -> type[Answer[T]]:
    """Return the model of an answer; pydantic makes it anew, which takes a millisecond, where nobody keeps it."""
    model = _ANSWERS.get(body)
    if model is None:
        model = _ANSWERS[body] = Answer[body]  # type: ignore[valid-type]  # made now
    return model


async def call(nc: Connection, subject: str, payload: bytes, *, within: float, patience: float | None = None) -> bytes:
    """Return the answer to a request, asked again until somebody is there.

    Args:
        within: Seconds until the answer is of no use any more.
        patience: See `Replies.insist`; only for what may be done twice at once.

    Raises:
        Outage: nobody answered in time.
    """
    return await nc.replies.insist(subject, payload, within=within, patience=patience)


async def ask(
    nc: Connection, subject: str, request: BaseModel, *, body: type[T], within: float, patience: float | None = None
) -> tuple[T, Offset]:
    """Return the body of the answer to a request, and the offset as of which it holds.

    Args:
        body: The type of the answer's body.
        within: Seconds until the answer is of no use any more.
        patience: See `call`.

    Raises:
        Refused: the handler said no.
        Outage: nobody answered in time.
        ValueError: the answer is none of ours: a bug.
    """
    data = await call(nc, subject, request.model_dump_json().encode(), within=within, patience=patience)
    answered = _answer_of(body).model_validate_json(data)
    if answered.problem is not None:
        raise _refusal(answered.problem, answered.retry_after)
    if answered.body is None:
        raise ValueError(f"{subject}: the answer has neither a body nor a problem")
    return answered.body, answered.as_of


def answer(body: Any, *, as_of: Offset) -> bytes:  # noqa: ANN401 - whatever pydantic can serialize
    """Encode an answer's body and the offset as of which it holds."""
    return _ANY(body=body, as_of=as_of).model_dump_json().encode()


class Service:
    """A subscription that answers requests; made by `serve`."""

    def __init__(self, nc: Connection, handler: Handler, *, concurrency: int) -> None:
        self._nc = nc
        self._handler = handler
        self._concurrency = concurrency
        self._waiting: deque[Incoming] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: Listening | None = None

    async def start(self, subject: str, *, queue: str) -> None:
        """Take requests. See `serve`."""
        self._listening = await self._nc.listen(subject, self._on_request, queue=queue)

    async def stop(self) -> None:
        """Take no more requests, and finish those taken, within five seconds; twice is once."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.stop(within=_CONFIRM_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_S):
                while self._tasks:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            task.cancel()

    def _on_request(self, request: Incoming) -> None:
        if len(self._tasks) < self._concurrency:
            self._begin(request)
        elif len(self._waiting) < self._concurrency * _WAITING:
            self._waiting.append(request)
        else:
            self._reply(request, _problem(Busy(f"{len(self._waiting)} requests wait already")))

    def _begin(self, request: Incoming) -> None:
        task = asyncio.create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting:
            self._begin(self._waiting.popleft())

    async def _answer(self, request: Incoming) -> None:
        subject = request.subject.decode()
        try:
            answered = await self._handler(subject, request.payload)
        except Refused as error:
            answered = _problem(error)
        except Exception:  # noqa: BLE001 - a bug in one request; the traceback is kept, the others go on
            _log.exception("request.crashed", subject=subject)
            answered = _problem(Refused(Code.INTERNAL, "something went wrong on our side"))
        self._reply(request, answered)

    def _reply(self, request: Incoming, answered: bytes) -> None:
        with suppress(Unreached):  # whoever asked asks again
            if request.reply.startswith(_INBOXES):  # what may be written with our rights is an answer, and nothing else
                self._nc.write(request.reply.decode(), answered)


async def serve(nc: Connection, subject: str, handler: Handler, *, queue: str = "", concurrency: int = 256) -> Service:
    """Answer requests until `Service.stop`.

    Args:
        subject: May have wildcards; the handler gets the subject that was asked.
        queue: Of those with the same word, one answers; empty: all do.
        concurrency: Requests that are handled at once; eight times as many may wait, and more are refused.
    """
    service = Service(nc, handler, concurrency=concurrency)
    await service.start(subject, queue=queue)
    return service


def _problem(error: Refused) -> bytes:
    return _NONE(problem=error.problem(), retry_after=error.retry_after).model_dump_json().encode()


def _refusal(problem: Problem, retry_after: int | None) -> Refused:
    if problem.code is Code.UNAVAILABLE:
        return Outage(problem.detail, retry_after=retry_after or 1)
    return Refused(
        problem.code, problem.detail, errors=problem.errors, retry_after=retry_after, extra=problem.model_extra
    )
