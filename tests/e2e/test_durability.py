"""R07: what was acknowledged is stored; killing whoever folds it, or everything, does not lose it."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from petit.client import Unavailable, Unreachable
from petit.contracts.resources import Sent
from tests.e2e.history import check_acknowledged, check_dense, whole
from tests.e2e.local import LocalStack
from tests.e2e.people import People, Person, plain_http
from tests.e2e.stack import Stack
from tests.e2e.waiting import eventually

WARM = 40
"""Sends on connections of their own: enough that each of two edges has seen the chat (1 in 2^39 otherwise)."""


async def _send_by_every_edge(stack: Stack, person: Person, *, chat: str, count: int) -> list[Sent]:
    headers = {"Authorization": f"Bearer {await person.token()}"}

    async def one(number: int) -> Sent:
        async with plain_http(stack) as http:
            body = {"id": person.client.new_id(), "text": f"number {number}"}
            answer = await http.post(f"/v1/chats/{chat}/messages", json=body, headers=headers)
            assert answer.status_code == 201, answer.text
            return Sent.model_validate_json(answer.content)

    return list(await asyncio.gather(*(one(number) for number in range(count))))


@pytest.mark.timeout(150)
async def test_a_send_acknowledged_before_any_fold_survives_the_death_of_all_folds(
    own_stack: Callable[..., Stack],
) -> None:
    """R07: the folds stand still, sends are acknowledged, the folds are killed; the sends are there."""
    stack = own_stack(processes=2)
    stack.start()
    async with People(stack) as people:
        ada = await people.one()
        chat = (await ada.client.create_chat("group", title="g")).id
        before = await _send_by_every_edge(stack, ada, chat=chat, count=WARM)
        folds = stack.named("chat-")
        assert len(folds) >= 2

        stack.signal(signal.SIGSTOP, *folds)
        unfolded = await _send_by_every_edge(stack, ada, chat=chat, count=WARM)
        pids = {name: stack.pids()[name] for name in folds}
        stack.kill(*folds)
        await asyncio.to_thread(stack.when_replaced, pids)

        after = await ada.client.send(chat, "and on")
        messages = await whole(ada.client, chat, min_offset=after.offset)
        check_dense(messages)
        check_acknowledged(messages, [*before, *unfolded, after])
        assert len(messages) == 2 * WARM + 1


@pytest.mark.embedded
@pytest.mark.timeout(150)
@pytest.mark.parametrize("victim", ["nats-server", "server", "everything"])
async def test_what_was_acknowledged_under_load_survives_kill_9(
    own_stack: Callable[..., LocalStack], victim: str
) -> None:
    """R07: writers send all the time; a process is killed; each acknowledged message is there once, in order."""
    stack = own_stack()
    stack.start()
    async with People(stack) as people:
        writers = await people(4)
        chat = (await writers[0].client.create_chat("group", title="g", members=[w.id for w in writers[1:]])).id
        acknowledged: dict[str, list[Sent]] = {writer.id: [] for writer in writers}
        over = asyncio.Event()

        async def write(writer: Person) -> None:
            number = 0
            while not over.is_set():
                number += 1
                # A send that is given up may be stored or not; the next one is another message.
                with suppress(Unreachable, Unavailable):
                    acknowledged[writer.id].append(await writer.client.send(chat, f"{number}", patience_s=10))

        async with asyncio.TaskGroup() as tasks:
            for writer in writers:
                tasks.create_task(write(writer))
            await _sent(acknowledged, more=20)
            pids = stack.pids()
            if victim == "everything":
                await asyncio.to_thread(stack.kill_everything)
                await asyncio.to_thread(stack.start)
            else:
                stack.kill(victim)
                await asyncio.to_thread(stack.when_replaced, {victim: pids[victim]})
            await _sent(acknowledged, more=20)
            over.set()

        last = await writers[0].client.send(chat, "last")
        messages = await whole(writers[0].client, chat, min_offset=last.offset)
        check_dense(messages)
        check_acknowledged(messages, [sent for sents in acknowledged.values() for sent in sents])
        for writer in writers:
            numbers = [int(m.text) for m in messages if m.by == writer.id and m.id != last.id]
            assert numbers == sorted(set(numbers))


async def _sent(acknowledged: dict[str, list[Sent]], *, more: int, within_s: float = 40.0) -> None:
    """Wait until each writer had so many more sends acknowledged."""
    goals = {writer: len(sents) + more for writer, sents in acknowledged.items()}

    async def reached() -> bool:
        return all(len(acknowledged[writer]) >= goal for writer, goal in goals.items())

    await eventually(reached, within_s=within_s, what=f"each of {len(goals)} writers has sent {more} more")
