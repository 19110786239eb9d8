"""Markers: how far people have read, and how far their devices have been reached.

`view` is a signal, coalesced (`domain.views`): the first of two seconds is published at once, the last of
them when they are over. `delivered` never enters the log: it is collected for a moment and merged into chat.
What waits here is lost in a crash, and the next marker makes up for it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NoReturn, TypeVar

import structlog

from petit.contracts.ids import ChatId, Offset, Seq, SignalId, UserId, timestamp
from petit.contracts.problems import Refused, Unavailable, wrong
from petit.contracts.rpc import ChatAsk, Delivered
from petit.contracts.signals import View, ViewData, decode, encode
from petit.contracts.subjects import chat_signal, parse
from petit.gateway.domain.views import Coalescer, Marks
from petit.gateway.handlers.standing import Standing
from petit.gateway.ports import Chats, Clock, Entry, Log

_LOGGER: Final = structlog.get_logger("petit.gateway.markers")
COLLECT_S: Final = 0.05
"""Seconds for which delivered markers are collected."""
MAX_COLLECTED: Final = 100_000
"""Delivered markers that may wait; more are refused as unavailable."""

AT_ONCE: Final = 64
"""Appends and requests that one flush has under way."""

T = TypeVar("T")
Key = tuple[ChatId, UserId]
"""Whose marker, in which chat."""


def _ahead(seq: Seq, head: Seq) -> Refused:
    return wrong("/seq", f"{seq} is above {head}, the seq of the chat's newest message")


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut values into lists of at most `size`; `itertools.batched` is not in Python 3.11."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


class Views:
    """Read markers on their way into the log."""

    def __init__(
        self, *, log: Log, chats: Chats, standing: Standing, clock: Clock, new_id: Callable[[], SignalId]
    ) -> None:
        self._log = log
        self._chats = chats
        self._standing = standing
        self._clock = clock
        self._new_id = new_id
        self._coalescer: Coalescer[Key] = Coalescer()
        self._marks: Marks[Key] = Marks()
        self._offered = asyncio.Event()

    async def view(self, chat: ChatId, seq: Seq, *, user: UserId) -> Offset | None:
        """Move somebody's read marker forward, never back.

        Returns:
            Where the view is stored; None if it waits to be published, or moves nothing.

        Raises:
            Refused: `chat.not_found`, or `request.invalid` for a seq above the chat's newest.
            Unavailable: it is not known to be stored, or chat would have to be asked.
        """
        head = await self._standing.head(chat, user, at_least=seq)
        if seq > head:
            raise _ahead(seq, head)
        key = (chat, user)
        mark = self._marks.get(key)
        if mark is None:
            min_offset = Offset(self._standing.feed.position)
            found = await self._chats.chat(ChatAsk(chat=chat, viewer=user, min_offset=min_offset))
            mark = found.body.marker
            self._marks.put(key, mark)
        if seq <= mark:
            return None
        publish = self._coalescer.offer(key, seq, now=self._clock.monotonic())
        self._offered.set()
        if not publish:
            return None
        try:
            return await self._publish(key, seq)
        except Unavailable:
            self._coalescer.forget(key)
            raise

    def on_entry(self, entry: Entry) -> None:
        """Learn from the feed how far markers were moved elsewhere."""
        under = parse(entry.subject)
        if under is None or under.kind != "view":
            return
        signal = decode(entry.payload)
        if isinstance(signal, View):
            self._marks.learn((signal.chat, signal.by), signal.data.seq)

    async def run(self) -> NoReturn:
        """Publish what waited, as windows close; until cancelled."""
        while True:
            close = self._coalescer.next_close()
            if close is None:
                self._offered.clear()
                await self._offered.wait()
                continue
            await asyncio.sleep(max(0.0, close - self._clock.monotonic()))
            await self._publish_all(self._coalescer.due(now=self._clock.monotonic()))

    async def flush(self) -> None:
        """Publish what waits, now."""
        await self._publish_all(self._coalescer.drain())

    async def _publish(self, key: Key, seq: Seq) -> Offset:
        chat, user = key
        view = View(id=self._new_id(), by=user, at=timestamp(self._clock.now_ms()), chat=chat, data=ViewData(seq=seq))
        stored = await self._log.append(chat_signal(chat, "view"), encode(view), msg_id=f"{user}:{view.id}")
        self._marks.put(key, seq)
        return Offset(stored.offset)

    async def _publish_all(self, views: Sequence[tuple[Key, Seq]]) -> None:
        for some in batched(views, AT_ONCE):
            await asyncio.gather(*(self._publish_late(key, seq) for key, seq in some))

    async def _publish_late(self, key: Key, seq: Seq) -> None:
        try:
            await self._publish(key, seq)
        except Unavailable as outage:
            _LOGGER.warning("view.lost", chat=key[0], reason=outage.detail)


class Deliveries:
    """Delivered markers on their way to chat."""

    def __init__(self, *, chats: Chats, standing: Standing) -> None:
        self._chats = chats
        self._standing = standing
        self._collected: dict[ChatId, dict[UserId, Seq]] = {}
        self._count = 0
        self._some = asyncio.Event()

    async def deliver(self, chat: ChatId, seq: Seq, *, user: UserId) -> None:
        """Move somebody's delivered marker forward, never back, within a moment.

        Raises:
            Refused: `chat.not_found`, or `request.invalid` for a seq above the chat's newest.
            Unavailable: too many markers wait, or chat would have to be asked.
        """
        head = await self._standing.head(chat, user, at_least=seq)
        if seq > head:
            raise _ahead(seq, head)
        if self._count >= MAX_COLLECTED:
            raise Unavailable(f"{self._count} delivered markers wait already")
        markers = self._collected.setdefault(chat, {})
        self._count += user not in markers
        markers[user] = max(seq, markers.get(user, seq))
        self._some.set()

    async def run(self) -> NoReturn:
        """Hand on what was collected, every moment; until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(COLLECT_S)
            await self.flush()

    async def flush(self) -> None:
        """Hand on what was collected, now."""
        collected, self._collected, self._count = self._collected, {}, 0
        self._some.clear()
        for some in batched(collected.items(), AT_ONCE):
            await asyncio.gather(*(self._hand_on(chat, markers) for chat, markers in some))

    async def _hand_on(self, chat: ChatId, markers: dict[UserId, Seq]) -> None:
        try:
            await self._chats.delivered(Delivered(chat=chat, markers=markers))
        except Refused as refused:
            _LOGGER.warning("delivered.lost", chat=chat, reason=refused.detail)
