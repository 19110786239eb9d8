"""R42: send, tail and resume from a shell, as two people in two terminals do."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.e2e.history import whole
from tests.e2e.people import People, Person
from tests.e2e.stack import Stack

LINE_S = 20.0
Line = dict[str, Any]


async def _petit(stack: Stack, *arguments: str) -> Line:
    """Run a command that ends, and return the last object that it printed."""
    done = await asyncio.to_thread(stack.petit, *arguments)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[-1] if lines else {}


@asynccontextmanager
async def tailing(stack: Stack, *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run `petit tail --json`; when it is entered, the process runs."""
    tail = await asyncio.create_subprocess_exec(*stack.command("tail", "--json", *arguments), stdout=PIPE, stderr=PIPE)
    assert tail.stdout is not None
    try:
        yield tail.stdout
    finally:
        if tail.returncode is None:
            tail.terminate()
        await tail.communicate()


async def _signal(tail: asyncio.StreamReader) -> Line:
    """Return the next signal that a tail prints."""
    async with asyncio.timeout(LINE_S):
        while True:
            line: Line = json.loads(await tail.readline())
            if "offset" in line:
                return line


async def _log_in(stack: Stack, *people: Person) -> None:
    for person in people:
        done = await asyncio.to_thread(stack.petit, "login", person.username, "--password", person.username)
        assert done.returncode == 0, done.stderr


@pytest.mark.timeout(90)
async def test_two_people_chat_in_two_terminals(stack: Stack, people: People) -> None:
    """R42: `send @name` makes the dm; `tail` shows it, and the answer of `send` says where it is stored."""
    ada, bob = await people(2)
    await _log_in(stack, ada, bob)

    sent = await _petit(stack, "send", "--as", bob.username, f"@{ada.username}", "Hello, Ada!", "--json")
    async with tailing(stack, "--as", ada.username, "--since-start") as tail:
        while (signal := await _signal(tail))["type"] != "msg":
            pass
    back = await _petit(stack, "send", "--as", ada.username, f"@{bob.username}", "Hello, Bob!", "--json")

    assert (signal["id"], signal["offset"], signal["by"]) == (sent["id"], sent["offset"], bob.id)
    assert signal["data"]["text"] == "Hello, Ada!"
    assert back["chat"] == sent["chat"]
    texts = [message.text for message in await whole(ada.client, sent["chat"], min_offset=back["offset"])]
    assert texts == ["Hello, Ada!", "Hello, Bob!"]


@pytest.mark.timeout(90)
@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_tail_that_was_stopped_resumes_from_its_cursor(stack: Stack, people: People, transport: str) -> None:
    """R42: `--cursor` of the last line: nothing is missing and nothing comes twice."""
    ada, bob = await people(2)
    await _log_in(stack, ada)
    chat = (await bob.client.create_chat("group", title="g", members=[ada.id])).id
    await bob.client.send(chat, "0")
    options = ("--as", ada.username, "--transport", transport)

    async with tailing(stack, *options, "--since-start") as tail:
        while (last := await _signal(tail))["type"] != "msg":
            pass
    sent = [await bob.client.send(chat, str(number)) for number in range(1, 6)]
    async with tailing(stack, *options, "--cursor", last["cursor"]) as tail:
        got = [await _signal(tail) for _ in sent]

    assert [line["id"] for line in got] == [each.id for each in sent]
    assert [line["seq"] for line in got] == [2, 3, 4, 5, 6]


@pytest.mark.timeout(90)
async def test_sending_twice_with_one_id_is_one_message(stack: Stack, people: People) -> None:
    """R42: `--id`, for scripts that try again."""
    ada = await people.one()
    await _log_in(stack, ada)
    chat = (await ada.client.create_chat("group", title="g")).id
    command = ("send", "--as", ada.username, chat, "once", "--id", ada.client.new_id(), "--json")

    first, again = await _petit(stack, *command), await _petit(stack, *command)

    assert first == again
    assert len(await whole(ada.client, chat, min_offset=first["offset"])) == 1


@pytest.mark.timeout(90)
async def test_what_goes_wrong_is_said_in_words_and_by_the_exit_code(stack: Stack, people: People) -> None:
    """Exit codes: 1 refused, 2 not understood; one paragraph on standard error, no traceback."""
    ada = await people.one()
    await _log_in(stack, ada)

    cases = {
        ("send", "--as", ada.username, "@nobody-at-all", "hi"): 1,
        ("send", "--as", "who-never-logged-in", f"@{ada.username}", "hi"): 1,
        ("tail", "--as", ada.username, "--cursor", "nonsense"): 1,
        ("send", "--as", ada.username): 2,
        ("no-such-command",): 2,
    }
    for command, code in cases.items():
        done = await asyncio.to_thread(stack.petit, *command)

        assert done.returncode == code, (command, done.stderr)
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr, command
