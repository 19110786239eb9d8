"""A log without room: sends are refused, never half-accepted; reads and streams go on, and with room all goes on."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from petit.contracts.resources import Sent
from tests.e2e.history import check_acknowledged, check_dense, whole
from tests.e2e.local import START_S, LocalStack
from tests.e2e.people import People, Person
from tests.e2e.scale import FULL
from tests.e2e.waiting import eventually
from tests.e2e.watching import watching
from tests.prove import logserver

pytestmark = pytest.mark.embedded

SPARE_BYTES = 6_000
TEXT = "a few words"
"""Short, so that whatever else is published does not fit either where this does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One send, made once, and its answer."""

    id: str
    answer: httpx2.Response

    @property
    def refused(self) -> bool:
        """Whether it was refused for want of room, as the API says it."""
        return (
            self.answer.status_code == 503
            and self.answer.json()["code"] == "unavailable"
            and int(self.answer.headers["retry-after"]) >= 1
        )

    @property
    def sent(self) -> Sent:
        """What was acknowledged."""
        assert self.answer.status_code in {200, 201}, self.answer.text
        return Sent.model_validate_json(self.answer.content)


async def _try(person: Person, chat: str, *, id: str | None = None) -> Try:
    id = id or person.client.new_id()
    answer = await person.ask("POST", f"/v1/chats/{chat}/messages", json={"id": id, "text": TEXT})
    return Try(id=id, answer=answer)


async def _until_refused(person: Person, chat: str) -> list[Try]:
    tries = [await _try(person, chat)]
    while not tries[-1].refused:
        tries.append(await _try(person, chat))
    return tries


async def _until_sent(person: Person, chat: str, *, within_s: float = START_S) -> Try:
    async def one() -> Try | None:
        tried = await _try(person, chat)
        return None if tried.refused else tried

    tried = await eventually(one, within_s=within_s, what="sends go on")
    assert tried is not None
    return tried


async def _check_once(person: Person, chat: str, tries: Sequence[Try]) -> None:
    """Check that every send is in history once: what was acknowledged, and what was refused and tried again."""
    repeated = [await _try(person, chat, id=each.id) for each in tries if each.refused]
    sent = [each.sent for each in (*tries, *repeated) if not each.refused]
    messages = await whole(person.client, chat, min_offset=max(each.offset for each in sent))
    check_dense(messages)
    check_acknowledged(messages, sent)
    assert {message.id for message in messages} == {each.id for each in tries}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("processes", [0, 3], ids=["one", "three"])
async def test_a_log_at_its_limit_refuses_sends_and_nothing_else(
    own_stack: Callable[..., LocalStack], processes: int
) -> None:
    """503 `unavailable` at once, for commands too; reads and streams as ever; with room, every send is stored once."""
    stack = own_stack(processes=processes)
    stack.start()
    async with People(stack) as people:
        ada, bob = await people(2)
        chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id
        first = await _try(ada, chat)
        async with watching(bob) as watch:
            await logserver.bound(stack, spare_bytes=SPARE_BYTES)
            tries = [first, *await _until_refused(ada, chat)]
            tries += [await _try(ada, chat) for _ in range(5)]
            assert all(each.refused for each in tries[-5:])
            assert "log full" in tries[-1].answer.json()["detail"]
            await _check_what_goes_on(bob, chat, watch=watch, tries=tries)
            command = await ada.ask("POST", "/v1/chats", json={"kind": "group", "title": 8 * TEXT})
            assert (command.status_code, command.json()["code"]) == (503, "unavailable")

            await logserver.bound(stack, spare_bytes=None)
            last = await _until_sent(ada, chat)
            await watch.until_signal(last.id)
            tries.append(last)
        await _check_once(ada, chat, tries)


async def _check_what_goes_on(person: Person, chat: str, *, watch: Any, tries: Sequence[Try]) -> None:  # noqa: ANN401 - a watch of either transport
    """Check that a member reads and sees live what was acknowledged, and nothing of what was refused."""
    acknowledged = [each.id for each in tries if not each.refused]
    await watch.until_signal(acknowledged[-1])
    assert watch.ended is None
    read_to = max(each.sent.offset for each in tries if not each.refused)
    messages = await whole(person.client, chat, min_offset=read_to)
    assert [message.id for message in messages] == acknowledged
    async with watching(person, transport="ws"):
        pass  # a new stream says hello, too


@pytest.mark.proof
@pytest.mark.timeout(180)
@pytest.mark.parametrize("disk", ["unwritable", *(["full"] if FULL and os.geteuid() == 0 else [])])
async def test_a_log_that_cannot_be_written_is_taken_up_again_by_itself(
    own_stack: Callable[..., LocalStack], tmp_path: Path, disk: str
) -> None:
    """A write that fails keeps nats-server from ever writing again: `petit up` says so, and starts it anew in time.

    In full, and as root, the disk of the whole installation is full for a while.
    """
    with logserver.small_disk(tmp_path / "disk", mib=80) if disk == "full" else nullcontext(None) as mounted:
        stack = own_stack() if mounted is None else LocalStack(mounted / "data")
        try:
            stack.start()
            async with People(stack) as people:
                await _lose_and_regain_the_disk(stack, people, disk=mounted)
            assert stack.stop().status == 0
        finally:
            stack.close()


async def _lose_and_regain_the_disk(stack: LocalStack, people: People, *, disk: Path | None) -> None:
    ada, bob = await people(2)
    chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id
    tries = [await _try(ada, chat)]
    async with watching(bob) as watch:
        if disk is None:
            logserver.refuse_writes(stack)  # but there is room: it is started anew within seconds
            while "nats-server begins anew" not in stack.printed():
                tries.append(await _try(ada, chat))
        else:
            ballast = logserver.fill(disk)
            tries += await _until_refused(ada, chat)
            tries.append(await _try(ada, chat))
            assert tries[-1].refused
            acknowledged = [each.id for each in tries if not each.refused]
            shown = [message.id for message in await whole(bob.client, chat)]
            assert shown == acknowledged[: len(shown)]  # the read model has no room for more, and says nothing else
            assert watch.ended is None
            ballast.unlink()
        last = await _until_sent(ada, chat)
        tries.append(last)
    assert "the log cannot be written" in stack.printed()
    assert "nats-server begins anew" in stack.printed()
    await asyncio.to_thread(stack.when_replaced, {})
    await _check_once(ada, chat, tries)
