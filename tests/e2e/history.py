"""What a chat's history says in the end, held against what its writers were told."""

from collections.abc import Iterable, Sequence

from petit.client import Client
from petit.contracts.resources import Message, Sent

PAGE = 200


async def whole(client: Client, chat: str, *, min_offset: int | None = None) -> list[Message]:
    """Return all of a chat's messages, paged upwards from the first."""
    messages: list[Message] = []
    while True:
        after = messages[-1].seq if messages else 0
        page = await client.history(chat, anchor="after", seq=after, limit=PAGE, min_offset=min_offset)
        messages += page.items
        if not page.items:
            return messages


def check_dense(messages: Sequence[Message]) -> None:
    """Check that seq is 1, 2, 3 … and that the log's order is the chat's."""
    assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
    offsets = [message.offset for message in messages]
    assert offsets == sorted(set(offsets))


def check_acknowledged(messages: Sequence[Message], sent: Iterable[Sent]) -> None:
    """Check that every acknowledged send is there once, where and when its answer said."""
    found: dict[str, list[Message]] = {}
    for message in messages:
        found.setdefault(message.id, []).append(message)
    for each in sent:
        there = found.get(each.id, [])
        assert len(there) == 1, f"message {each.id}, acknowledged at offset {each.offset}, is there {len(there)} times"
        assert (there[0].offset, there[0].at, there[0].by) == (each.offset, each.at, each.by)
