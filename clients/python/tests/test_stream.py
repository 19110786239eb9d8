"""A stream that resumes by itself: over either transport, what is handed out has neither gap nor duplicate."""

import asyncio
import json

import httpx2
import pytest

from clients.python.tests.script import CHAT, Server, Step, bye, hello, message, msg, playing
from petit.client import ApiProblem, Client, CursorExpired, Forbidden, StreamEnded, Unauthenticated, calls
from petit.client import stream as streams
from petit.client.stream import Transport
from petit.contracts.problems import Code

pytestmark = pytest.mark.parametrize("transport", ["sse", "ws"])


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(calls, "LONGEST_PAUSE_S", 0.002)


async def first(count: int, client: Client, transport: Transport, *, cursor: str | None = None) -> list[int]:
    """Return the offsets of the first signals of a stream."""
    offsets: list[int] = []
    async with asyncio.timeout(10), client.stream(cursor, transport=transport) as stream:
        async for signal in stream:
            offsets.append(signal.offset)
            if len(offsets) == count:
                break
    return offsets


async def test_signals_come_in_order(transport: Transport) -> None:
    async with playing(Server([[hello("c0"), msg(1), msg(2), "silence"]])) as client:
        assert await first(2, client, transport) == [1, 2]


async def test_a_cut_resumes_behind_the_last_frame(transport: Transport) -> None:
    server = Server([[hello("c0"), msg(1), "cut"], [hello("c1"), msg(2), "cut"], [hello("c2"), msg(3), "silence"]])

    async with playing(server) as client:
        offsets = await first(3, client, transport)

    assert offsets == [1, 2, 3]
    assert server.cursors == [None, "c1", "c2"]


async def test_a_quiet_stream_resumes_behind_its_last_heartbeat(transport: Transport) -> None:
    beat: Step = ("c9", "heartbeat", {"head": 9})
    server = Server([[hello("c0"), beat, "cut"], [hello("c9"), msg(10), "silence"]])

    async with playing(server) as client:
        await first(1, client, transport)

    assert server.cursors == [None, "c9"]


async def test_a_cursor_of_before_is_where_it_begins(transport: Transport) -> None:
    server = Server([[hello("c7"), msg(8), "silence"]])

    async with playing(server) as client:
        await first(1, client, transport, cursor="c7")

    assert server.cursors == ["c7"]


async def test_the_cursor_is_that_of_the_signal_in_hand(transport: Transport) -> None:
    async with (
        playing(Server([[hello("c0"), msg(1), msg(2), msg(3), "silence"]])) as client,
        client.stream(transport=transport) as stream,
    ):
        async for signal in stream:
            if signal.offset == 2:
                break

        assert stream.cursor == "c2"


@pytest.mark.parametrize("code", [1001, 4408])
async def test_a_resumable_goodbye_is_resumed(transport: Transport, code: int) -> None:
    server = Server([[hello("c0"), msg(1), bye(code, resume=True)], [hello("c1"), msg(2), "silence"]])

    async with playing(server) as client:
        assert await first(2, client, transport) == [1, 2]


@pytest.mark.parametrize("code", [4401, 4409])
async def test_a_goodbye_for_the_token_comes_back_with_another(transport: Transport, code: int) -> None:
    server = Server([[hello("c0"), bye(code, resume=True)], [hello("c0"), msg(1), "silence"]])

    async with playing(server) as client:
        await first(1, client, transport)

    assert server.bearers == ["t0", "t1"]


async def test_a_final_goodbye_is_final(transport: Transport) -> None:
    server = Server([[hello("c0"), bye(4403, resume=False)]])

    async with playing(server) as client:
        with pytest.raises(StreamEnded) as caught:
            await first(1, client, transport)

    assert caught.value.code == 4403
    assert len(server.cursors) == 1


async def test_a_cursor_that_is_gone_asks_for_a_new_beginning(transport: Transport) -> None:
    async with playing(Server([Code.CURSOR_EXPIRED])) as client:
        with pytest.raises(CursorExpired):
            await first(1, client, transport, cursor="c1")


async def test_a_cursor_that_goes_while_streaming_asks_for_it_too(transport: Transport) -> None:
    async with playing(Server([[hello("c0"), bye(4410, resume=False)]])) as client:
        with pytest.raises(CursorExpired):
            await first(1, client, transport)


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RATE_LIMITED, Code.INTERNAL])
async def test_trouble_that_passes_is_waited_for(transport: Transport, code: Code) -> None:
    async with playing(Server([code, code, [hello("c0"), msg(1), "silence"]])) as client:
        assert await first(1, client, transport) == [1]


async def test_an_expired_token_is_replaced_before_coming_back(transport: Transport) -> None:
    server = Server([Code.TOKEN_EXPIRED, [hello("c0"), msg(1), "silence"]])

    async with playing(server) as client:
        await first(1, client, transport)

    assert server.bearers == ["t0", "t1"]


@pytest.mark.parametrize(
    ("answers", "kind"),
    [([Code.TOKEN_INVALID] * 3, Unauthenticated), ([Code.ACCOUNT_BANNED], Forbidden)],
)
async def test_a_refusal_that_stays_is_an_error(
    transport: Transport, answers: list[Code], kind: type[ApiProblem]
) -> None:
    async with playing(Server([*answers])) as client:
        with pytest.raises(kind):
            await first(1, client, transport)


async def test_a_token_is_renewed_in_place_when_it_is_about_to_end(transport: Transport) -> None:
    expiring: Step = ("c0", "expiring", {"expires_in": 30})
    server = Server([[hello("c0"), expiring, msg(1), "silence"]])

    async with playing(server) as client:
        await first(1, client, transport)
        async with asyncio.timeout(5):
            assert await server.renewed.get() == "t1"

    assert len(server.cursors) == 1


async def test_silence_beyond_the_heartbeat_is_a_dead_connection(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SILENCE", 0.05)
    server = Server([[hello("c0", heartbeat_s=1), "silence"], [hello("c0"), msg(1), "silence"]])

    async with playing(server) as client:
        assert await first(1, client, transport) == [1]


async def test_a_gap_is_paged_and_its_messages_come_as_signals(transport: Transport) -> None:
    gap: Step = (
        "c1",
        "gap",
        {"chat": CHAT, "after_offset": 1, "to_offset": 5, "href": f"/v1/chats/{CHAT}/messages?after=1"},
    )
    pages = {"1": [message(2), message(3)], "3": [message(4), message(5), message(6)]}

    def history(request: httpx2.Request) -> httpx2.Response:
        items = pages[request.url.params["after"]]
        body = {"items": [{**item, "text": str(item["offset"])} for item in items], "head_seq": 6, "first_seq": 1}
        return httpx2.Response(200, content=json.dumps(body))

    server = Server([[hello("c1"), gap, msg(6), "silence"]], answer=history)

    async with playing(server) as client:
        assert await first(5, client, transport, cursor="c1") == [2, 3, 4, 5, 6]


async def test_a_cut_inside_a_gap_repeats_nothing(transport: Transport) -> None:
    gap: Step = (
        "c1",
        "gap",
        {"chat": CHAT, "after_offset": 1, "to_offset": 3, "href": f"/v1/chats/{CHAT}/messages?after=1"},
    )

    def history(_: httpx2.Request) -> httpx2.Response:
        items = [{**message(offset), "text": ""} for offset in (2, 3)]
        return httpx2.Response(200, content=json.dumps({"items": items, "head_seq": 3, "first_seq": 1}))

    server = Server([[hello("c1"), gap, "cut"], [hello("c1"), gap, msg(4), "silence"]], answer=history)

    async with playing(server) as client:
        assert await first(3, client, transport, cursor="c1") == [2, 3, 4]


async def test_frames_of_a_newer_server_are_passed_over(transport: Transport) -> None:
    strange: Step = ("c1", "weather", {"mood": "sunny"})
    server = Server([[hello("c0"), strange, "cut"], [hello("c1"), msg(2), "silence"]])

    async with playing(server) as client:
        assert await first(1, client, transport) == [2]
    assert server.cursors == [None, "c1"]


async def test_something_that_is_no_frame_is_a_broken_connection(transport: Transport) -> None:
    broken: Step = ("c1", "signal", {"offset": "many"})
    server = Server([[hello("c0"), broken], [hello("c0"), msg(1), "silence"]])

    async with playing(server) as client:
        assert await first(1, client, transport) == [1]


async def test_the_servers_time_corrects_the_clock(transport: Transport) -> None:
    async with playing(Server([[hello("c0"), "silence"]])) as client, client.stream(transport=transport):
        assert abs(client.clock.now_ms()) < 60_000  # the script's hello says 1970


async def test_leaving_takes_a_reader_that_was_cancelled_along(transport: Transport) -> None:
    async with playing(Server([[hello("c0"), "silence"]])) as client:
        async with client.stream(transport=transport) as stream:
            reading = asyncio.create_task(_all_of(stream))
            await asyncio.sleep(0)
            reading.cancel()

        assert reading.cancelled()


async def _all_of(stream: streams.Stream) -> list[int]:
    return [signal.offset async for signal in stream]
