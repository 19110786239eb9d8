"""A gap's messages are found wherever its href leads, all of them and nothing else."""

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.python.tests.script import CHAT, Tokens, message
from petit.client import Client
from petit.client.gaps import messages_of
from petit.contracts.ids import ChatId, Offset
from petit.contracts.resources import Gap


def client_of(offsets: list[int], *, hidden: frozenset[int]) -> Client:
    """Return a client of a server whose chat has messages at these offsets, seq by seq, some not shown to us."""
    stored = [message(offset, seq=seq) for seq, offset in enumerate(offsets, 1)]
    shown = [{**each, "text": ""} for each in stored if each["seq"] not in hidden]

    def history(request: httpx2.Request) -> httpx2.Response:
        asked = request.url.params
        limit = int(asked["limit"])
        if "after" in asked:
            items = [each for each in shown if each["seq"] > int(asked["after"])][:limit]
        elif "at" in asked:
            items = [each for each in shown if each["seq"] >= int(asked["at"])][:limit]
        else:
            items = shown[-limit:]
        first = shown[0]["seq"] if shown else 0
        return httpx2.Response(200, content=json.dumps({"items": items, "head_seq": len(stored), "first_seq": first}))

    return Client("http://server.test", tokens=Tokens(), transport=httpx2.MockTransport(history))


@given(
    offsets=st.lists(st.integers(1, 2_000), unique=True, max_size=450).map(sorted),
    bounds=st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)).map(sorted),
    hidden=st.frozensets(st.integers(1, 450), max_size=60),
    query=st.sampled_from(["", "?after", "?limit=50"]),
)
async def test_a_gap_is_paged_whole(
    offsets: list[int], bounds: list[int], hidden: frozenset[int], *, query: str
) -> None:
    after, to = bounds
    query = f"?after={sum(offset <= after for offset in offsets)}" if query == "?after" else query
    gap = Gap(
        chat=ChatId(CHAT),
        after_offset=Offset(after),
        to_offset=Offset(to),
        href=f"/v1/chats/{CHAT}/messages{query}",
    )

    found = [
        signal.offset
        async for signal in messages_of(client_of(offsets, hidden=hidden), gap=gap, after=gap.after_offset)
    ]

    assert found == [offset for seq, offset in enumerate(offsets, 1) if after < offset <= to and seq not in hidden]


async def test_a_part_that_was_handed_out_already_is_left_out() -> None:
    gap = Gap(chat=ChatId(CHAT), after_offset=Offset(1), to_offset=Offset(9), href=f"/v1/chats/{CHAT}/messages?after=1")
    client = client_of(list(range(1, 12)), hidden=frozenset())

    assert [signal.offset async for signal in messages_of(client, gap=gap, after=Offset(6))] == [7, 8, 9]


@pytest.mark.parametrize("href", [f"/v1/chats/{CHAT}/messages", f"http://elsewhere.test/v1/chats/{CHAT}/messages?at=1"])
async def test_only_the_path_of_an_href_is_followed(href: str) -> None:
    gap = Gap(chat=ChatId(CHAT), after_offset=Offset(0), to_offset=Offset(3), href=href)
    client = client_of([1, 2, 3], hidden=frozenset())

    assert [signal.offset async for signal in messages_of(client, gap=gap, after=Offset(0))] == [1, 2, 3]
