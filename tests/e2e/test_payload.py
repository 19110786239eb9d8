"""R19 and the nonce: what a frame carries, to whom."""

import pytest

from tests.e2e.people import People, Person
from tests.e2e.watching import watching
from tests.e2e.wire import SocketWire, Transport, opened

BOTH: tuple[Transport, ...] = ("sse", "ws")
KEPT = {"offset", "seq", "id", "type", "chat", "by", "at"}


async def _talk(ada: Person, bob: Person) -> str:
    """Let some of everything happen in a chat of two."""
    chat = (await ada.client.create_chat("group", title="very secret", members=[bob.id])).id
    await ada.client.send(chat, "very secret", nonce="my own mark")
    await bob.client.view(chat, 1)
    await ada.client.set_role(chat, bob.id, role="moderator")
    await ada.client.update(chat, title="still very secret")
    return chat


@pytest.mark.parametrize("transport", BOTH)
async def test_a_thin_frame_says_where_and_not_what(people: People, transport: Transport) -> None:
    """R19: no data, an `href` that shows it to who may see it, and a 404 to others."""
    ada, bob, stranger = await people(3)

    async with (
        watching(bob, transport=transport, payload="thin") as thin,
        watching(bob, transport=transport, payload="full") as full,
    ):
        chat = await _talk(ada, bob)
        await thin.caught_up()
        await full.caught_up()

    assert thin.types(chat) == full.types(chat) == ["chat.created", "msg", "view", "role", "chat.updated"]
    for signal, whole in zip(thin.of(chat), full.of(chat), strict=True):
        assert "data" not in signal
        assert "href" not in whole
        assert {name: signal[name] for name in KEPT & signal.keys()} == {n: whole[n] for n in KEPT & whole.keys()}
        shown, hidden = await bob.ask("GET", signal["href"]), await stranger.ask("GET", signal["href"])
        assert (shown.status_code, hidden.status_code) == (200, 404), signal
    message = next(signal for signal in thin.of(chat) if signal["type"] == "msg")
    answer = (await bob.ask("GET", message["href"])).json()
    assert (answer["id"], answer["text"], answer["seq"]) == (message["id"], "very secret", message["seq"])
    assert "very secret" not in str(thin.frames)


@pytest.mark.parametrize("transport", BOTH)
async def test_a_thin_stream_resumed_is_as_thin(people: People, transport: Transport) -> None:
    """R19: what is caught up on equals what was live."""
    ada, bob = await people(2)

    async with watching(bob, transport=transport, payload="thin") as live:
        chat = await _talk(ada, bob)
        await live.caught_up()
    async with watching(bob, transport=transport, payload="thin", cursor=live.hello.id) as resumed:
        await resumed.caught_up()

    assert resumed.of(chat) == live.of(chat)


@pytest.mark.parametrize("transport", BOTH)
async def test_a_full_stream_resumed_is_what_was_live(people3: People, transport: Transport) -> None:
    """R14: backlog frames equal live frames, on another edge and over the other transport, too."""
    ada, bob = await people3(2)

    async with watching(bob, transport=transport) as live:
        chat = await _talk(ada, bob)
        await live.caught_up()

    for other in (*BOTH, *BOTH):
        async with watching(bob, transport=other, cursor=live.hello.id) as resumed:
            await resumed.caught_up()
        assert resumed.of(chat) == live.of(chat)


async def test_the_nonce_is_for_its_authors_devices_only(people3: People) -> None:
    """API section 3: live, resumed and in history: the author's own devices get it, nobody else does."""
    ada, bob = await people3(2)
    chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id

    async with (
        watching(ada) as phone,
        watching(ada, transport="ws", payload="thin") as laptop,
        watching(bob) as bob_sees,
        watching(bob, transport="ws", payload="thin") as bob_sees_little,
    ):
        sent = await ada.client.send(chat, "hi", nonce="mark")
        own = [await watch.until_signal(sent.id) for watch in (phone, laptop)]
        others = [await watch.until_signal(sent.id) for watch in (bob_sees, bob_sees_little)]
    for person, watch, into in ((ada, phone, own), (bob, bob_sees, others)):
        for transport in BOTH:
            async with watching(person, transport=transport, cursor=watch.hello.id) as resumed:
                into.append(await resumed.until_signal(sent.id))

    assert sent.nonce == "mark"
    assert [signal["nonce"] for signal in own] == ["mark"] * 4
    assert not [signal for signal in others if "nonce" in signal]
    for path in (f"/messages/{sent.id}", "/messages", ""):
        mine, bobs = [await who.ask("GET", f"/v1/chats/{chat}{path}?min_offset={sent.offset}") for who in (ada, bob)]
        assert '"nonce":"mark"' in mine.text.replace(" ", ""), path
        assert "nonce" not in bobs.text, path


async def test_a_socket_carries_what_is_done_there_and_answers_it(people3: People) -> None:
    """API section 3: send, view and delivered by `do`, each answered with its `ref`, as REST would."""
    ada, bob = await people3(2)
    chat = (await ada.client.create_chat("group", title="g", members=[bob.id])).id
    id = ada.client.new_id()

    async with watching(bob) as bob_sees, opened("ws", ada.client.base_url, token=await ada.token()) as wire:
        assert isinstance(wire, SocketWire)
        await wire.frame()
        asked: dict[str, dict[str, object]] = {
            "first": {"do": "send", "chat": chat, "id": id, "text": "by socket", "nonce": "n"},
            "again": {"do": "send", "chat": chat, "id": id, "text": "by socket"},
            "other": {"do": "send", "chat": chat, "id": id, "text": "something else"},
            "empty": {"do": "send", "chat": chat, "text": ""},
            "view": {"do": "view", "chat": chat, "seq": 1},
            "delivered": {"do": "delivered", "chat": chat, "seq": 1},
        }
        replies = {}
        for ref, frame in asked.items():
            await wire.do(ref=ref, **frame)
            while ref not in replies:
                came = await wire.frame()
                if came.event == "reply":
                    assert came.id
                    replies[came.data["ref"]] = came.data
        await bob_sees.until_signal(id)

    first, again = replies["first"]["body"], replies["again"]["body"]
    assert {ref: reply["status"] for ref, reply in replies.items()} == {
        "first": 201,
        "again": 200,
        "other": 409,
        "empty": 422,
        "view": 204,
        "delivered": 204,
    }
    assert (first["id"], first["offset"], first["nonce"]) == (again["id"], again["offset"], "n")
    assert replies["other"]["body"]["code"] == "conflict.state"
    assert replies["empty"]["body"]["errors"]
