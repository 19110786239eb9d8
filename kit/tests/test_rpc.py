"""A request is answered by whoever is there, once somebody is, or is an outage in time."""

import asyncio
import time

import pytest
from pydantic import BaseModel

from kit.tests.reading import eventually, frozen
from petit.contracts.ids import Offset
from petit.contracts.problems import Code, FieldError, Refused
from petit.contracts.rpc import Ask
from petit.kit.connection import Connection, connect
from petit.kit.errors import Outage, Unanswered, Unreached
from petit.kit.natsserver import NatsServer
from petit.kit.rpc import PATIENCE_S, answer, ask, call, serve
from petit.kit.wire import Incoming

SUBJECT = "rpc.chat.7.echo"


class Echo(BaseModel):
    text: str
    none: str | None = None


class EchoAsk(Ask):
    text: str


async def echo(subject: str, payload: bytes) -> bytes:
    request = EchoAsk.model_validate_json(payload)
    return answer(Echo(text=f"{subject}: {request.text}"), as_of=Offset(request.min_offset + 1))


async def test_an_answer_has_a_body_and_the_offset_as_of_which_it_holds(nc: Connection) -> None:
    await serve(nc, "rpc.chat.7.*", echo)

    body, as_of = await ask(nc, SUBJECT, EchoAsk(text="hello", min_offset=Offset(4)), body=Echo, within=2)

    assert body == Echo(text=f"{SUBJECT}: hello")
    assert as_of == 5


async def test_a_body_may_be_any_type_that_pydantic_knows(nc: Connection) -> None:
    async def two(_subject: str, _payload: bytes) -> bytes:
        return answer((Echo(text="a"), Echo(text="b")), as_of=Offset(1))

    await serve(nc, SUBJECT, two)

    body, _ = await ask(nc, SUBJECT, Ask(), body=tuple[Echo, ...], within=2)

    assert body == (Echo(text="a"), Echo(text="b"))


async def test_a_refusal_arrives_as_it_was_raised(nc: Connection) -> None:
    async def refuse(_subject: str, _payload: bytes) -> bytes:
        errors = (FieldError(pointer="/id", detail="ahead"),)
        raise Refused(Code.CLOCK_AHEAD, "by 40 s", errors=errors, retry_after=3, extra={"server_time": "now"})

    await serve(nc, SUBJECT, refuse)

    with pytest.raises(Refused) as caught:
        await ask(nc, SUBJECT, Ask(), body=Echo, within=2)

    error = caught.value
    assert (error.code, error.detail, error.retry_after) == (Code.CLOCK_AHEAD, "by 40 s", 3)
    assert error.errors == (FieldError(pointer="/id", detail="ahead"),)
    assert error.extra == {"server_time": "now"}


async def test_an_outage_behind_the_handler_is_an_outage_here(nc: Connection) -> None:
    async def fail(_subject: str, _payload: bytes) -> bytes:
        raise Outage("the store is down", retry_after=7)

    await serve(nc, SUBJECT, fail)

    with pytest.raises(Outage, match="the store is down") as caught:
        await ask(nc, SUBJECT, Ask(), body=Echo, within=2)
    assert caught.value.retry_after == 7


async def test_a_bug_is_answered_and_so_is_the_next_request(nc: Connection) -> None:
    async def crash_once(_subject: str, payload: bytes) -> bytes:
        if len(requests) == 0:
            requests.append(payload)
            raise ZeroDivisionError
        return await echo(_subject, payload)

    requests: list[bytes] = []
    await serve(nc, SUBJECT, crash_once)

    with pytest.raises(Refused) as caught:
        await ask(nc, SUBJECT, EchoAsk(text="x"), body=Echo, within=2)
    body, _ = await ask(nc, SUBJECT, EchoAsk(text="x"), body=Echo, within=2)

    assert caught.value.code is Code.INTERNAL
    assert body.text == f"{SUBJECT}: x"


async def test_nobody_there_is_an_outage_at_the_deadline(nc: Connection) -> None:
    started = time.monotonic()

    with pytest.raises(Outage):
        await call(nc, SUBJECT, b"", within=0.3)

    assert 0.2 < time.monotonic() - started < 0.6


async def test_whoever_comes_late_still_answers(nc: Connection) -> None:
    asking = asyncio.create_task(ask(nc, SUBJECT, EchoAsk(text="hello"), body=Echo, within=2))
    await asyncio.sleep(0)
    await serve(nc, SUBJECT, echo)

    body, _ = await asking

    assert body.text == f"{SUBJECT}: hello"


async def test_a_question_that_was_dropped_is_asked_again(nc: Connection) -> None:
    dropped: list[Incoming] = []

    def answer_the_third(msg: Incoming) -> None:
        if len(dropped) == 2:
            nc.write(msg.reply.decode(), b"here")
        else:
            dropped.append(msg)

    await nc.listen(SUBJECT, answer_the_third)

    assert await nc.replies.insist(SUBJECT, within=5, patience=0.05) == b"here"
    dropped.clear()
    with pytest.raises(Unanswered):
        await nc.replies.insist(SUBJECT, within=0.1, patience=0.1)


async def test_a_slow_answer_counts_although_it_was_asked_again(nc: Connection) -> None:
    asked: list[Incoming] = []

    def answer_the_first(msg: Incoming) -> None:
        asked.append(msg)
        if len(asked) == 3:
            nc.write(asked[0].reply.decode(), b"the first one's")

    await nc.listen(SUBJECT, answer_the_first)

    assert await nc.replies.insist(SUBJECT, within=5, patience=0.05) == b"the first one's"


async def test_an_answer_between_two_requests_is_not_lost(nc: Connection) -> None:
    def answer_late(msg: Incoming) -> None:
        # The patience of 0.05 s is over by then, and the pause of 0.025 s after it is not.
        asyncio.get_running_loop().call_later(0.06, nc.write, msg.reply.decode(), b"late")
        listening.append(asyncio.create_task(listener.stop(within=1)))

    listening: list[asyncio.Task[None]] = []
    listener = await nc.listen(SUBJECT, answer_late)

    assert await nc.replies.insist(SUBJECT, within=1, patience=0.05) == b"late"


async def test_who_died_over_a_question_is_replaced(nc: Connection) -> None:
    """R09: its successor is asked long before the answer is of no use any more."""
    taken = asyncio.Event()
    dying = await nc.listen(SUBJECT, lambda _: taken.set())
    question = EchoAsk(text="hello")
    asking = asyncio.create_task(ask(nc, SUBJECT, question, body=Echo, within=5, patience=PATIENCE_S))
    await taken.wait()
    started = time.monotonic()
    await dying.stop(within=1)
    await serve(nc, SUBJECT, echo)

    body, _ = await asking

    assert body.text == f"{SUBJECT}: hello"
    assert time.monotonic() - started < 4


async def test_a_request_survives_a_restart_of_the_server(nc: Connection, server: NatsServer) -> None:
    await serve(nc, SUBJECT, echo)
    server.kill()
    asking = [
        asyncio.create_task(ask(nc, SUBJECT, EchoAsk(text=str(number)), body=Echo, within=5)) for number in range(50)
    ]
    await asyncio.sleep(0)
    await server.start()

    answers = await asyncio.gather(*asking)

    assert [body.text for body, _ in answers] == [f"{SUBJECT}: {number}" for number in range(50)]


async def test_a_frozen_server_is_an_outage_at_the_deadline(nc: Connection, server: NatsServer) -> None:
    with frozen(server), pytest.raises(Outage):
        await call(nc, SUBJECT, b"", within=0.3)


async def test_who_stops_while_the_server_is_gone_is_not_asked_when_it_is_back(
    nc: Connection, server: NatsServer
) -> None:
    service = await serve(nc, SUBJECT, echo)
    broken, restored = asyncio.Event(), asyncio.Event()
    nc.on_disconnected(broken.set)
    nc.on_reconnected(restored.set)
    server.kill()
    await broken.wait()

    await service.stop()
    await server.start()
    await restored.wait()

    with pytest.raises(Unreached):
        await nc.replies.request(SUBJECT, within=2)


async def test_of_a_queue_one_answers(nc: Connection, server: NatsServer) -> None:
    taken = [0, 0]

    async def first(_subject: str, _payload: bytes) -> bytes:
        taken[0] += 1
        return b"x"

    async def second(_subject: str, _payload: bytes) -> bytes:
        taken[1] += 1
        return b"x"

    async with await connect(server.access, name="b") as other:
        await serve(nc, SUBJECT, first, queue="chat")
        await serve(other, SUBJECT, second, queue="chat")
        await other.flush()
        await asyncio.gather(*(call(nc, SUBJECT, b"", within=2) for _ in range(100)))

    assert sum(taken) == 100
    assert min(taken) > 10


async def test_no_more_is_handled_at_once_than_allowed(nc: Connection) -> None:
    now, most = 0, 0

    async def slow(_subject: str, _payload: bytes) -> bytes:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1
        return b"x"

    await serve(nc, SUBJECT, slow, concurrency=5)
    await asyncio.gather(*(call(nc, SUBJECT, b"", within=5) for _ in range(100)))

    assert most == 5


async def test_a_service_that_stops_finishes_what_it_took(nc: Connection) -> None:
    taken, release = asyncio.Event(), asyncio.Event()

    async def slow(_subject: str, _payload: bytes) -> bytes:
        taken.set()
        await release.wait()
        return b"done"

    service = await serve(nc, SUBJECT, slow)
    asking = asyncio.create_task(call(nc, SUBJECT, b"", within=5))
    await taken.wait()
    stopping = asyncio.create_task(service.stop())
    await eventually(lambda: not stopping.done())
    release.set()

    assert await asking == b"done"
    await stopping
    await service.stop()
    with pytest.raises(Outage):
        await call(nc, SUBJECT, b"", within=0.2)


async def test_a_thousand_requests_at_once_get_their_own_answers(nc: Connection) -> None:
    async def same(_subject: str, payload: bytes) -> bytes:
        return payload

    await serve(nc, SUBJECT, same)

    answers = await asyncio.gather(*(call(nc, SUBJECT, b"%d" % number, within=5) for number in range(1_000)))

    assert answers == [b"%d" % number for number in range(1_000)]
