"""The lists that people open now and then, on FastStream.

They read for milliseconds, so that FastStream's 0.2 ms a request do not show; what is asked while somebody
connects, sends or waits does not stand on it (docs/adr/0008).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog
from faststream.nats import NatsBroker, NatsMessage
from faststream.nats.security import NatsToken, NatsUserPassword
from nats.errors import Error as NatsError

from petit.chat.subscribers.methods import Answering
from petit.contracts.problems import Code, Refused
from petit.contracts.rpc import Answer
from petit.contracts.subjects import CHAT_QUEUE, chat_any
from petit.kit.access import Access

_WORKERS: Final = 32
"""Lists that are read at once."""
_FINISH_S: Final = 2.0
_RECONNECT_S: Final = 1
_PING_S: Final = 2
_PROBLEM: Final = Answer[None]

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def serve_lists(access: Access, *, name: str, methods: Mapping[str, Answering]) -> AsyncIterator[None]:
    """Take part in answering lists for as long as the context lasts; in the end, finish those begun.

    The broker has a connection of its own, and comes back for as long as it is not stopped.
    """
    broker = NatsBroker(
        access.servers,
        security=_security(access),
        inbox_prefix=access.inbox_prefix,
        name=name,
        logger=None,
        apply_types=False,  # the methods have models of their own
        max_reconnect_attempts=-1,  # the default gives up after 60
        reconnect_time_wait=_RECONNECT_S,
        ping_interval=_PING_S,  # twice without an answer, and it looks for another server
        graceful_timeout=_FINISH_S,
    )
    for method, answering in methods.items():
        subscriber = broker.subscriber(chat_any(method), queue=CHAT_QUEUE, max_workers=_WORKERS, decoder=_as_it_is)
        subscriber(_handler(method, answering))
    connection = await broker.connect()
    try:
        await broker.start()
        yield
    finally:
        try:
            async with asyncio.timeout(2 * _FINISH_S):
                await broker.stop()
        except (NatsError, TimeoutError) as error:  # without a connection there is nobody to answer
            _log.warning("lists.cut", error=str(error) or type(error).__name__)
        finally:
            await connection.close()


def _security(access: Access) -> NatsToken | NatsUserPassword | None:
    if access.user is not None:
        return NatsUserPassword(access.user, access.password or "", ssl_context=access.tls())
    return None if access.token is None else NatsToken(access.token, ssl_context=access.tls())


async def _as_it_is(message: NatsMessage) -> bytes:
    """Leave the decoding to the method."""
    return message.body


def _handler(method: str, answering: Answering) -> Callable[[bytes], Awaitable[bytes]]:
    async def handle(body: bytes) -> bytes:
        try:
            return await answering(body)
        except Refused as error:
            return _problem(error)
        except Exception:  # noqa: BLE001 - a bug in one request; the traceback is kept, the others go on
            _log.exception("request.crashed", method=method)
            return _problem(Refused(Code.INTERNAL, "something went wrong on our side"))

    return handle


def _problem(error: Refused) -> bytes:
    return _PROBLEM(problem=error.problem(), retry_after=error.retry_after).model_dump_json().encode()
