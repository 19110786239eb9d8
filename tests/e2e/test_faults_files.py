"""Damaged files: `petit up` says in one paragraph what to do, or mends them; nothing is missing silently."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from petit.contracts.resources import Sent
from tests.e2e.history import check_acknowledged, check_dense, whole
from tests.e2e.local import START_S, LocalStack
from tests.e2e.people import People
from tests.e2e.scale import FULL
from tests.prove.damage import HARMS, Harm, Healed, Refused

pytestmark = pytest.mark.embedded

MESSAGES = 300
TEXT = "so many words that a block of the log is worth harming " * 5


class Rested(NamedTuple):
    """An installation that was used and stopped."""

    data: Path
    chat: str
    sent: list[Sent]


async def _use(stack: LocalStack) -> tuple[str, list[Sent]]:
    async with People(stack) as people:
        ada = await people.named("ada")
        chat = (await ada.client.create_chat("group", title="g")).id
        sent = [await ada.client.send(chat, TEXT) for _ in range(MESSAGES)]
        await whole(ada.client, chat, min_offset=sent[-1].offset)
    return chat, sent


@pytest.fixture(scope="module")
def rested(tmp_path_factory: pytest.TempPathFactory) -> Rested:
    """Use an installation once, for all tests to copy and damage."""
    stack = LocalStack(tmp_path_factory.mktemp("rested") / "data")
    try:
        stack.start()
        chat, sent = asyncio.run(_use(stack))
        assert stack.stop().status == 0
    finally:
        stack.close()
    return Rested(stack.data, chat, sent)


@pytest.mark.proof
@pytest.mark.timeout(120)
@pytest.mark.parametrize("harm", [pytest.param(harm, id=name) for name, harm in HARMS.items() if FULL or harm.quick])
async def test_up_heals_or_says_what_to_do(own_stack: Callable[..., LocalStack], rested: Rested, harm: Harm) -> None:
    """Whatever is damaged: everything acknowledged is there, or `petit up` does not start."""
    stack = own_stack()
    shutil.copytree(rested.data, stack.data)
    harm.do(stack.data)

    match harm.outcome:
        case Healed():
            await asyncio.to_thread(stack.start)
        case refused:
            _check_refusal(stack, refused)
            if refused.cure is None:
                _check_doctor_agrees(stack, refused)
                return
            await asyncio.to_thread(refused.cure, stack)
            await asyncio.to_thread(stack.start)
    await _check_nothing_is_missing(stack, rested)
    assert (await asyncio.to_thread(stack.stop)).status == 0


def _check_refusal(stack: LocalStack, refused: Refused) -> None:
    stack.launch()
    status = stack.wait(within_s=START_S)
    words = stack.printed().strip()
    assert status == 1
    assert "Traceback" not in words
    if refused.late:
        words = words[words.rindex("petit: ") :]
    assert words.startswith("petit: ")
    assert "\n" not in words, "one paragraph"
    assert refused.says in words


def _check_doctor_agrees(stack: LocalStack, refused: Refused) -> None:
    examined = stack.petit("doctor")
    assert examined.returncode == 1
    assert refused.says in examined.stdout
    assert stack.petit("doctor", "--new-epoch").returncode == 0, "the operator may go on without"


async def _check_nothing_is_missing(stack: LocalStack, rested: Rested) -> None:
    async with People(stack) as people:
        ada = await people.named("ada")
        after = await ada.client.send(rested.chat, "after")
        messages = await whole(ada.client, rested.chat, min_offset=after.offset)
    check_dense(messages)
    check_acknowledged(messages, [*rested.sent, after])
    assert len(messages) == MESSAGES + 1
