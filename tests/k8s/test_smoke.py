"""The end-to-end tests that tell the most in the least time, through the cluster: the functions of tests/e2e."""

import asyncio

import pytest

from petit.client import Client, OidcTokens
from tests.e2e.test_client import test_the_client_fills_a_gap_by_itself
from tests.e2e.test_dm import test_a_dm_is_found_by_either_side_and_by_nobody_else
from tests.e2e.test_membership import test_join_leave_invite_and_kick_are_one_signal_each
from tests.e2e.test_resume import test_one_cursor_serves_every_chat_after_a_long_absence
from tests.e2e.test_sequence import test_ten_writers_leave_no_hole_and_no_repeat
from tests.e2e.test_strangers import test_a_stranger_cannot_tell_a_chat_from_none, test_strangers_see_nothing_live
from tests.e2e.test_tickets import test_of_many_uses_at_once_on_three_edges_one_opens
from tests.k8s.installation import READY_S, Installation

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(READY_S)]

__all__ = [
    "test_a_dm_is_found_by_either_side_and_by_nobody_else",
    "test_a_stranger_cannot_tell_a_chat_from_none",
    "test_join_leave_invite_and_kick_are_one_signal_each",
    "test_of_many_uses_at_once_on_three_edges_one_opens",
    "test_one_cursor_serves_every_chat_after_a_long_absence",
    "test_strangers_see_nothing_live",
    "test_ten_writers_leave_no_hole_and_no_repeat",
    "test_the_client_fills_a_gap_by_itself",
]


async def test_two_people_who_are_there_from_the_beginning_log_in_and_chat(stack: Installation) -> None:
    """With the public client and nothing else, as anybody would."""

    def enter(name: str) -> Client:
        return Client(stack.url, tokens=OidcTokens(stack.issuer, username=name, password=name))

    async with enter("ada") as ada, enter("bob") as bob, bob.stream() as stream, asyncio.timeout(30):
        chat = await ada.create_chat("dm", members=[(await bob.me()).id])
        sent = await ada.send(chat.id, "hello from the cluster")
        shown = await anext(signal async for signal in stream if signal.id == sent.id)
        page = await bob.history(chat.id, min_offset=sent.offset)

    assert (shown.data or {})["text"] == page.items[-1].text == "hello from the cluster"
