"""Messages come out of the bytes whole and in order, however the network cuts them; a refusal is not the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import ProtocolError

from kit.tests.reading import eventually
from petit.kit.access import Access
from petit.kit.connection import Connection, connect
from petit.kit.errors import Unreached
from petit.kit.wire import Incoming, Parser

INFO = b'INFO {"server_id":"x","version":"2.15.0","headers":true,"max_payload":1048576,"proto":1}\r\n'

WORDS = st.text("abcdefgh.0123", min_size=1, max_size=20).map(str.encode)
HEADERS = st.one_of(st.just(b""), st.binary(max_size=30).map(lambda some: b"NATS/1.0\r\n" + some + b"\r\n\r\n"))
MESSAGES = st.lists(
    st.builds(Incoming, WORDS, st.one_of(st.just(b""), WORDS), st.binary(max_size=60), HEADERS), max_size=12
)


def encoded(message: Incoming) -> bytes:
    """Spell a message as the server does, for subscription 7."""
    reply = b" " + message.reply if message.reply else b""
    size = len(message.header) + len(message.payload)
    if message.header:
        line = b"HMSG %b 7%b %d %d" % (message.subject, reply, len(message.header), size)
    else:
        line = b"MSG %b 7%b %d" % (message.subject, reply, size)
    return b"\r\n".join((line, message.header + message.payload, b""))


def parse(chunks: list[bytes]) -> list[Incoming]:
    """Return what a parser makes of the chunks."""
    messages: list[Incoming] = []

    async def scenario() -> None:
        parser = Parser(Client(), {7: messages.append})
        for chunk in chunks:
            await parser.parse(chunk)

    asyncio.run(scenario())
    return messages


@given(messages=MESSAGES, data=st.data())
def test_messages_survive_any_cut(messages: list[Incoming], data: st.DataObject) -> None:
    sent = b"+OK\r\n".join(map(encoded, messages))
    cuts = data.draw(st.lists(st.integers(0, len(sent)), max_size=20).map(sorted))

    assert parse([sent[start:end] for start, end in pairwise([0, *cuts, len(sent)])]) == messages


@given(messages=MESSAGES)
def test_messages_survive_byte_by_byte(messages: list[Incoming]) -> None:
    sent = b"".join(map(encoded, messages))

    assert parse([bytes([byte]) for byte in sent]) == messages


@pytest.mark.parametrize(
    "sent", [b"HELLO\r\n", b"MSG a\r\n", b"MSG a 1 x\r\n", b"MSG a one 1\r\n", b"HMSG a 1 2\r\n", b"\r\n"]
)
def test_what_is_no_nats_is_refused(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse([sent])


def test_a_handler_that_crashes_costs_one_message() -> None:
    messages: list[Incoming] = []

    def handler(message: Incoming) -> None:
        messages.append(message)
        if len(messages) == 1:
            raise ZeroDivisionError

    async def scenario() -> None:
        await Parser(Client(), {7: handler}).parse(b"MSG a 7 1\r\nx\r\nMSG b 7 1\r\ny\r\n")

    asyncio.run(scenario())

    assert [message.payload for message in messages] == [b"x", b"y"]


def test_what_was_left_of_a_broken_connection_is_forgotten() -> None:
    messages: list[Incoming] = []

    async def scenario() -> None:
        parser = Parser(Client(), {7: messages.append})
        await parser.parse(b"MSG a 7 100\r\nhalf of it")
        parser.reset()
        await parser.parse(b"MSG b 7 1\r\ny\r\n")

    asyncio.run(scenario())

    assert [message.subject for message in messages] == [b"b"]


@asynccontextmanager
async def fake(then: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """Take connections as a server does, do something with each, and close it."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        while not (await reader.readline()).startswith(b"PING"):
            pass
        writer.write(b"PONG\r\n")
        await then(reader, writer)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("refusal", [b"-ERR 'Maximum Connections Exceeded'\r\n", b"-ERR 'Whatever'\r\n", b"HELLO\r\n"])
async def test_a_refusal_is_not_the_end_of_a_connection(refusal: bytes) -> None:
    came = 0

    async def refuse_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        if came == 1:
            writer.write(refusal)
        else:
            await reader.read()

    async with fake(refuse_once) as url, await connect(Access(url=url), name="test") as nc:
        back = asyncio.Event()
        nc.on_reconnected(back.set)
        await eventually(lambda: came == 2)
        assert not nc.is_closed


async def test_a_refused_permission_costs_no_connection(nc: Connection) -> None:
    await nc._process_err("'permissions violation for publish to \"secret\"'")  # noqa: SLF001 - what the server says

    assert nc.is_connected


async def test_a_subject_cannot_smuggle_commands(nc: Connection) -> None:
    with pytest.raises(ValueError, match="is no subject"):
        nc.write("a 0\r\n\r\nPUB b", b"")
    with pytest.raises(ValueError, match="is no subject"):
        nc.write("a", b"", reply="b c")
    with pytest.raises(ValueError, match="is no subject"):
        nc.write("", b"")


async def test_a_message_larger_than_the_server_takes_is_not_sent(nc: Connection) -> None:
    with pytest.raises(ValueError, match="larger than NATS takes"):
        nc.write("a", bytes(nc.max_payload + 1))

    assert nc.is_connected


async def test_a_closed_connection_takes_nothing(nc: Connection) -> None:
    listening = await nc.listen("a", lambda _message: None)
    await nc.close()

    await listening.stop()
    await listening.stop()
    with pytest.raises(Unreached):
        nc.write("a", b"")


async def test_a_listener_hears_until_it_stops(nc: Connection) -> None:
    heard: list[bytes] = []
    listening = await nc.listen("a.*", lambda message: heard.append(message.payload))
    nc.write("a.b", b"1")
    nc.write("a.c", b"2", header=b"NATS/1.0\r\nx: y\r\n\r\n")
    await eventually(lambda: heard == [b"1", b"2"])

    await listening.stop()
    nc.write("a.b", b"3")
    await nc.flush()

    assert heard == [b"1", b"2"]
