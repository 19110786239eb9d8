"""The real stack, hurt: each part killed, paused or cut off, under load; every promise is kept, or refused clearly."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import httpx2
import pytest

from petit.contracts.resources import Sent
from tests.e2e.history import check_acknowledged, check_dense, whole
from tests.e2e.people import People, Person, log_in, plain_http
from tests.e2e.scale import FULL, scaled, within
from tests.e2e.waiting import eventually
from tests.e2e.watching import Watch, watching
from tests.e2e.writing import until_written, writing
from tests.prove.crowd import gathered
from tests.prove.matrix import matrix, strike
from tests.prove.verdict import violations
from tests.real.stack import RealStack

pytestmark = pytest.mark.containers

SEEDS: Final = range(1, 1 + scaled(1, full=20))
WARM: Final = 30
"""Sends acknowledged before the first blow and after the last."""
TAKEOVER_S: Final = 5.0
"""How soon the partitions of a fold that died are folded by another."""
CUT_S: Final = scaled(10, full=60)
CAUGHT_UP_S: Final = 60.0
SERVICES: Final = ("gateway", "notifier", "chat")
TEN_MINUTES_S: Final = 600


def _tell(line: str) -> None:
    print(f"  {line}", flush=True)  # noqa: T201 - progress, and what to repeat


@pytest.mark.proof
@within(400)
@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}".format)
async def test_what_was_acknowledged_survives_the_fault_matrix(
    real_stack: RealStack, figure: Callable[[str], None], seed: int
) -> None:
    """R07, R14, R15: kills, pauses and network cuts of every part, one after the other, as a seed decides."""
    blows = matrix(
        seed,
        edges=real_stack.named("edge-"),
        folds=real_stack.named("chat-"),
        logs=real_stack.named("nats-"),
        store="cassandra",
        issuer="keycloak",
        short=not FULL,
    )
    _tell(f"seed {seed}")
    await asyncio.to_thread(real_stack.when_ready)  # a seed that failed may have left anything
    async with People(real_stack) as people, gathered(people, seed=seed) as (crowd, busy):
        await crowd.progress(sends=WARM)
        await strike(real_stack, blows=blows, acknowledged=lambda: crowd.ledger.acknowledged, tell=_tell)
        await crowd.progress(sends=WARM)
        _tell("everybody comes to an end")
        evidence = await crowd.finish(busy)
        _tell(crowd.figures())

    assert violations(evidence) == [], f"seed {seed}"
    assert crowd.complaints == [], f"seed {seed}"
    await asyncio.to_thread(real_stack.when_ready)  # else the next blow hits what is not, and says so late
    figure(f"seed {seed}: {len(blows)} blows; {crowd.figures()}")


@pytest.mark.timeout(200)
async def test_while_the_database_is_gone_people_talk_and_reads_say_so(
    real_stack: RealStack, figure: Callable[[str], None]
) -> None:
    """R07: sends are acknowledged and shown live; reads are 503 with `Retry-After`; afterwards history has them all."""
    async with People(real_stack) as people:
        ada, bob = await people(2)
        chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id
        await _known_everywhere(real_stack, ada, chat=chat)
        async with watching(bob) as watch:
            await watch.until_signal((await ada.client.send(chat, "before")).id)
            real_stack.cut("cassandra")
            try:
                sent = await _talk(ada, chat, watch=watch, for_s=CUT_S)
                unread = await eventually(
                    lambda: _refused_read(ada, chat), within_s=30, what="a read says that the store is gone"
                )
                assert await _ready(real_stack) == 200, "edges stay in service"
            finally:
                real_stack.heal("cassandra")
        begun = time.monotonic()
        await eventually(lambda: _reads(ada, chat, sent[-1]), within_s=CAUGHT_UP_S, what="the fold caught up")
        figure(f"caught up {time.monotonic() - begun:.1f} s after a cut of {CUT_S} s, with {len(sent)} messages")
        messages = await whole(ada.client, chat, min_offset=sent[-1].offset)

    check_dense(messages)
    check_acknowledged(messages, sent)
    assert unread is not None
    assert unread.json()["code"] == "unavailable"
    assert int(unread.headers["Retry-After"]) >= 1


@pytest.mark.timeout(120)
async def test_while_the_issuer_is_gone_those_who_are_logged_in_go_on(real_stack: RealStack) -> None:
    """R01: valid tokens are good on every replica; a new log-in is a clear 503; when it is back, it succeeds."""
    async with People(real_stack) as people:
        ada = await people.one()
        chat = (await ada.client.create_chat("group", title="g")).id
        await _known_everywhere(real_stack, ada, chat=chat)
        real_stack.down("keycloak")
        try:
            async with watching(ada) as watch:
                sent = await ada.client.send(chat, "without an issuer")
                await watch.until_signal(sent.id)
            async with plain_http(real_stack) as http:
                refused = await http.post("/login", json={"username": ada.username, "password": ada.username})
        finally:
            real_stack.up("keycloak")
        await eventually(lambda: _logs_in(real_stack, ada), within_s=60, what="the issuer is back")

    assert refused.status_code == 503
    assert refused.json()["code"] == "unavailable"
    assert "Retry-After" in refused.headers


@pytest.mark.timeout(120)
async def test_a_dead_owner_is_taken_over_in_time(real_stack: RealStack, figure: Callable[[str], None]) -> None:
    """R07, R09: `kill -9` of each fold in turn: another folds its partitions within 5 s, and seq has no hole."""
    async with People(real_stack) as people:
        ada = await people.one()
        chats = [(await ada.client.create_chat("group", title=str(n))).id for n in range(12)]
        longest = 0.0
        sent: dict[str, list[Sent]] = {chat: [] for chat in chats}
        for fold in real_stack.named("chat-"):
            real_stack.down(fold)
            begun = time.monotonic()
            for chat in chats:
                sent[chat].append(await ada.client.send(chat, f"{fold} is dead"))
            for chat in chats:
                last = sent[chat][-1]
                await eventually(
                    lambda chat=chat, last=last: _reads(ada, chat, last),  # type: ignore[misc]  # bound now
                    within_s=30,
                    what="another replica folds it",
                )
            longest = max(longest, time.monotonic() - begun)
            await asyncio.to_thread(real_stack.up, fold)
        figure(f"longest takeover of three: {longest:.1f} s")
        for chat in chats:
            messages = await whole(ada.client, chat, min_offset=sent[chat][-1].offset)
            check_dense(messages)
            check_acknowledged(messages, sent[chat])

    assert longest <= TAKEOVER_S


@pytest.mark.timeout(240)
async def test_every_service_is_restarted_under_load_and_nobody_notices(
    real_stack: RealStack, figure: Callable[[str], None]
) -> None:
    """R38: replica by replica, in order: nothing lost, no 5xx, every device resumed."""
    async with People(real_stack) as people, gathered(people, seed=1) as (crowd, busy):
        await crowd.progress(sends=WARM)
        for service in SERVICES:
            for name in real_stack.named(f"{service}-"):
                await asyncio.to_thread(real_stack.restart, name)
                await crowd.progress(sends=5)
        await crowd.progress(sends=WARM)
        evidence = await crowd.finish(busy)

    refused = {status: count for status, count in crowd.ledger.statuses.items() if status >= 500}
    assert violations(evidence) == []
    assert crowd.complaints == []
    assert refused == {}
    figure(f"9 restarts: {crowd.figures()}")


@pytest.mark.timeout(180)
async def test_replicas_with_wrong_clocks_do_no_harm(real_stack: RealStack) -> None:
    """R08: a gateway ten minutes ahead serves nobody; a fold ten minutes behind folds as if nothing were."""
    async with People(real_stack) as people:
        ada, bob = await people(2)
        chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id
        with real_stack.clocks({"gateway-2": TEN_MINUTES_S, "chat-2": -TEN_MINUTES_S}):
            await eventually(
                lambda: _says(real_stack, "gateway-2", "ahead of the log"), within_s=60, what="it says why"
            )
            async with watching(bob) as watch, writing(ada, chat, pause_s=0.01) as sent:
                await until_written(sent, more=100)
            body = {"id": ada.client.new_id(), "text": "once"}
            path = f"/v1/chats/{chat}/messages"
            answers = await asyncio.gather(*(ada.ask("POST", path, json=body) for _ in range(20)))
            assert {answer.status_code for answer in answers} <= {200, 201}
            assert len({(answer.json()["id"], answer.json()["offset"]) for answer in answers}) == 1
            last = answers[0].json()["offset"]
            await eventually(lambda: _at(ada, chat, last), within_s=30, what="the fold of each partition goes on")
            shown = {signal["id"] for signal in watch.of(chat)}
        messages = await whole(ada.client, chat, min_offset=last)

    check_dense(messages)
    check_acknowledged(messages, sent)
    assert {each.id for each in sent[:-1]} <= shown


async def _known_everywhere(stack: RealStack, person: Person, *, chat: str) -> None:
    """Send so often that every replica has seen the chat (1 in 2^30 otherwise)."""
    headers = {"Authorization": f"Bearer {await person.token()}"}
    for _ in range(60):
        async with plain_http(stack) as http:
            answer = await http.post(f"/v1/chats/{chat}/messages", json={"text": "warm"}, headers=headers)
            assert answer.status_code == 201, answer.text


async def _talk(person: Person, chat: str, *, watch: Watch, for_s: float) -> Sequence[Sent]:
    begun = time.monotonic()
    async with writing(person, chat, pause_s=0.02) as sent:
        while time.monotonic() - begun < for_s:
            await until_written(sent, more=20)
    await watch.until_signal(sent[-1].id)
    assert {each.id for each in sent} <= {signal["id"] for signal in watch.of(chat)}, "live goes on"
    return sent


async def _refused_read(person: Person, chat: str) -> httpx2.Response | None:
    answer = await person.ask("GET", f"/v1/chats/{chat}/messages")
    return answer if answer.status_code == 503 else None


async def _reads(person: Person, chat: str, sent: Sent) -> bool:
    return await _at(person, chat, sent.offset)


async def _at(person: Person, chat: str, offset: int) -> bool:
    answer = await person.ask("GET", f"/v1/chats/{chat}/messages?min_offset={offset}")
    return answer.status_code == 200


async def _says(stack: RealStack, name: str, words: str) -> bool:
    return words in await asyncio.to_thread(stack.why_not_ready, name)


async def _ready(stack: RealStack) -> int:
    async with plain_http(stack) as http:
        return (await http.get("/readyz")).status_code


async def _logs_in(stack: RealStack, person: Person) -> bool:
    try:
        await log_in(stack, person.username)
    except (AssertionError, httpx2.HTTPError):
        return False
    return True
