"""A log that is gone, or older than what was folded: nothing is accepted, and an operator is told what repairs it."""

import asyncio
import shutil
from collections.abc import Callable, Sequence

import httpx2
import pytest

from petit.contracts.cursor import Cursor
from petit.contracts.resources import Sent
from tests.e2e.history import check_acknowledged, check_dense, whole
from tests.e2e.local import START_S, STOP_S, LocalStack
from tests.e2e.people import People, Person
from tests.e2e.scale import FULL
from tests.e2e.waiting import eventually
from tests.e2e.wire import knock, opened
from tests.prove import logserver

pytestmark = pytest.mark.embedded

LEAP = 1_000_000
SENDS = 20


async def _folded(person: Person, chat: str, *, count: int = SENDS) -> list[Sent]:
    """Send, and wait until all of it is folded."""
    sent = [await person.client.send(chat, f"number {number}") for number in range(count)]
    await whole(person.client, chat, min_offset=sent[-1].offset)
    return sent


async def _refused_until_it_ends(stack: LocalStack, person: Person, *, chat: str) -> None:
    """Send all the time until `petit up` has ended by itself, with a word about what to do: nothing is accepted."""
    token = await person.token()

    async def ended() -> bool:
        body = {"id": person.client.new_id(), "text": "into the void"}
        try:
            answer = await person.http.post(
                f"/v1/chats/{chat}/messages", json=body, headers={"Authorization": f"Bearer {token}"}
            )
        except httpx2.TransportError:
            pass
        else:
            assert answer.status_code in {404, 503}, f"{answer.status_code}: {answer.text}"
        return not stack.runs

    await eventually(ended, within_s=START_S, what="petit up ends by itself")
    assert await asyncio.to_thread(stack.wait, within_s=STOP_S) == 1
    assert "doctor --new-epoch" in _last_word(stack)


def _last_word(stack: LocalStack) -> str:
    """Return the paragraph with which it ended."""
    lines = [line for line in stack.printed().splitlines() if line.startswith("petit: ")]
    assert "Traceback" not in stack.printed()
    return lines[-1]


async def _repaired(stack: LocalStack) -> None:
    doctor = await asyncio.to_thread(stack.petit, "doctor", "--new-epoch")
    assert doctor.returncode == 0, doctor.stderr
    await asyncio.to_thread(stack.start)


async def _check_what_follows(person: Person, *, chat: str, sent: Sequence[Sent], old: str) -> None:
    """Check that nothing folded is lost, that offsets go on far above, and that old cursors are gone."""
    after = await person.client.send(chat, "after")
    assert after.offset >= sent[-1].offset + LEAP
    messages = await whole(person.client, chat, min_offset=after.offset)
    check_dense(messages)
    check_acknowledged(messages, [*sent, after])
    token = await person.token()
    for transport in ("sse", "ws"):
        assert await knock(transport, person.client.base_url, token=token, cursor=old) == (410, "cursor.expired")
    assert (await person.ask("GET", f"/v1/cursor?cursor={old}")).status_code == 410
    async with opened("sse", person.client.base_url, token=token) as wire:
        hello = await wire.frame()
    assert hello.id is not None
    assert Cursor.parse(hello.id).epoch > Cursor.parse(old).epoch


async def _cursor(person: Person) -> str:
    async with opened("ws", person.client.base_url, token=await person.token()) as wire:
        id = (await wire.frame()).id
    assert id is not None
    return id


@pytest.mark.proof
@pytest.mark.timeout(150)
@pytest.mark.parametrize("processes", [0, 3] if FULL else [3])
async def test_a_log_deleted_under_a_running_installation_is_not_made_anew(
    own_stack: Callable[..., LocalStack], processes: int
) -> None:
    """Sends are refused, `petit up` ends and says what to do, and says it again, until an operator does it."""
    stack = own_stack(processes=processes)
    stack.start()
    async with People(stack) as people:
        ada = await people.named("ada")
        chat = (await ada.client.create_chat("group", title="g")).id
        sent, old = await _folded(ada, chat), await _cursor(ada)

        await logserver.delete(stack)
        await _refused_until_it_ends(stack, ada, chat=chat)
        stack.launch()
        await _refused_until_it_ends(stack, ada, chat=chat)
        examined = await asyncio.to_thread(stack.petit, "doctor")
        assert examined.returncode == 1
        assert "doctor --new-epoch" in examined.stdout
        await _repaired(stack)

        await _check_what_follows(ada, chat=chat, sent=sent, old=old)


@pytest.mark.proof
@pytest.mark.timeout(150)
@pytest.mark.parametrize("processes", [0, 3] if FULL else [0])
async def test_a_log_older_than_what_was_folded_from_it_is_refused(
    own_stack: Callable[..., LocalStack], processes: int
) -> None:
    """An older copy of the log would hand out offsets a second time: nothing is accepted before an operator decides."""
    stack = own_stack(processes=processes)
    stack.start()
    async with People(stack) as people:
        ada = await people.named("ada")
        chat = (await ada.client.create_chat("group", title="g")).id
        sent = await _folded(ada, chat)
        assert (await asyncio.to_thread(stack.stop)).status == 0
        shutil.copytree(stack.data / "nats", stack.data / "older")
        await asyncio.to_thread(stack.start)
        sent += await _folded(ada, chat)
        old = await _cursor(ada)
        assert (await asyncio.to_thread(stack.stop)).status == 0
        shutil.rmtree(stack.data / "nats")
        (stack.data / "older").rename(stack.data / "nats")

        stack.launch()
        await _refused_until_it_ends(stack, ada, chat=chat)
        await _repaired(stack)

        await _check_what_follows(ada, chat=chat, sent=sent, old=old)


@pytest.mark.timeout(150)
async def test_a_backup_gives_equal_histories_and_says_which_cursors_are_gone(
    own_stack: Callable[..., LocalStack],
) -> None:
    """What was written after the backup is not in it: a cursor of that time is told so, and skips nothing silently."""
    stack, restored = own_stack(), own_stack()
    stack.start()
    async with People(stack) as people:
        ada = await people.named("ada")
        chat = (await ada.client.create_chat("group", title="g")).id
        sent = await _folded(ada, chat)
        before = await whole(ada.client, chat)
        assert (await asyncio.to_thread(stack.stop)).status == 0
        file = str(stack.data.with_name("backup.tgz"))
        backed_up = await asyncio.to_thread(stack.petit, "backup", file)
        assert backed_up.returncode == 0, backed_up.stderr
        await asyncio.to_thread(stack.start)
        await _folded(ada, chat)
        old = await _cursor(ada)

    took = await asyncio.to_thread(restored.petit, "restore", file)
    assert took.returncode == 0, took.stderr
    await asyncio.to_thread(restored.start)

    async with People(restored) as people:
        ada = await people.named("ada")
        assert await whole(ada.client, chat) == before
        for transport in ("sse", "ws"):
            assert await knock(transport, restored.url, token=await ada.token(), cursor=old) == (410, "cursor.expired")
        resumed = await _cursor(ada)
        after = await ada.client.send(chat, "after")
        messages = await whole(ada.client, chat, min_offset=after.offset)
        check_dense(messages)
        check_acknowledged(messages, [*sent, after])
        async with opened("sse", restored.url, token=await ada.token(), cursor=resumed) as wire:
            assert (await wire.frame()).event == "hello"
            assert (await wire.frame()).data["id"] == after.id
