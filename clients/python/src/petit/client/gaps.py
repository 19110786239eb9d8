"""Paging what a resumed stream left out: `gap` says that more was missed in a chat than a backlog carries."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from petit.contracts.ids import Offset, Seq
from petit.contracts.resources import Gap, History, Message, SignalFrame

if TYPE_CHECKING:
    from petit.client.client import Client

PAGE: Final = 200
"""Messages a request, the most that the API gives."""


async def messages_of(client: "Client", *, gap: Gap, after: Offset) -> AsyncIterator[SignalFrame]:
    """Page a gap's messages from its `href` and hand them out as the `msg` signals that they were.

    Only messages later than `after` come, ascending, up to the gap's end. What else happened in the gap
    (members, titles, markers) is in the chat as it is read now.

    Raises:
        ApiProblem: the server refuses; the chat may have been left meanwhile.
    """
    history = _Reader(client, gap=gap)
    page = await history.page(history.where or {"at": await history.first_seq(after=after)})
    while page.items:
        for message in page.items:
            if after < message.offset <= gap.to_offset:
                yield as_signal(message)
        last = page.items[-1]
        if last.offset >= gap.to_offset or last.seq >= page.head_seq:
            return
        page = await history.page({"after": last.seq})


class _Reader:
    """Reads the history of a gap's chat, at least as far as the gap goes."""

    def __init__(self, client: "Client", *, gap: Gap) -> None:
        target = urlsplit(gap.href)
        self._client = client
        self._gap = gap
        self._path = target.path
        asked = {name: values[0] for name, values in parse_qs(target.query).items()}
        self.where = {name: int(asked[name]) for name in ("after", "at") if asked.get(name, "").isdecimal()}
        """Where the `href` leads to, if that is the gap's beginning: from there on, pages go upwards."""

    async def page(self, where: dict[str, int], *, limit: int = PAGE) -> History:
        answer = await self._client.fetch(self._path, limit=limit, min_offset=self._gap.to_offset, **where)
        return History.model_validate_json(answer.content)

    async def first_seq(self, *, after: Offset) -> Seq:
        """Find the first message later than an offset, by halving: seq and offset increase together."""
        newest = await self.page({}, limit=1)
        low, high = newest.first_seq, newest.head_seq
        while low < high:
            middle = (low + high) // 2
            found = (await self.page({"at": middle}, limit=1)).items
            if found and found[0].offset <= after:
                low = Seq(found[0].seq + 1)
            else:
                high = Seq(middle)
        return max(Seq(1), low)


def as_signal(message: Message) -> SignalFrame:
    """Return the `msg` signal that a message of history was, as it is now."""
    data = {
        "text": message.text,
        "files": list(message.files),
        "reply_to": message.reply_to,
        "mentions": list(message.mentions),
    }
    return SignalFrame(
        offset=message.offset,
        seq=message.seq,
        id=message.id,
        type="msg",
        chat=message.chat,
        by=message.by,
        at=message.at,
        nonce=message.nonce,
        data={name: value for name, value in data.items() if value is not None},
    )


def as_message(signal: SignalFrame) -> Message:
    """Return the message that history shows for a `msg` signal.

    Raises:
        ValueError: it is not a full `msg` signal.
    """
    if signal.type != "msg" or signal.seq is None or signal.chat is None or signal.data is None:
        raise ValueError(f"signal {signal.id} of type {signal.type} is not a whole message")
    return Message(
        id=signal.id,
        seq=signal.seq,
        offset=signal.offset,
        chat=signal.chat,
        by=signal.by,
        at=signal.at,
        nonce=signal.nonce,
        text=signal.data.get("text", ""),
        files=tuple(signal.data.get("files", ())),
        reply_to=signal.data.get("reply_to"),
        mentions=tuple(signal.data.get("mentions", ())),
    )
