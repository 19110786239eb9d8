"""Somebody's device that only looks: what its stream showed, in order, and how to know that nothing more is coming."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.e2e.people import Person
from tests.e2e.waiting import Late
from tests.e2e.wire import Ended, RawFrame, SocketWire, SseWire, Transport, opened

WITHIN_S = 20.0


class Watch:
    """One connection whose frames are read as they come and kept."""

    def __init__(self, wire: SseWire | SocketWire, *, person: Person, hello: RawFrame) -> None:
        self.wire = wire
        self.hello = hello
        self.frames: list[RawFrame] = [hello]
        self.ended: Ended | None = None
        self._person = person
        self._news = asyncio.Condition()
        self._diary: str | None = None

    @property
    def signals(self) -> list[dict[str, Any]]:
        """The data of all `signal` frames so far."""
        return [frame.data for frame in self.frames if frame.event == "signal"]

    def of(self, chat: str) -> list[dict[str, Any]]:
        """Return the signals of one chat so far."""
        return [signal for signal in self.signals if signal.get("chat") == chat]

    def types(self, chat: str) -> list[str]:
        """Return the types of the signals of one chat so far."""
        return [signal["type"] for signal in self.of(chat)]

    async def until(self, condition: Callable[[RawFrame], bool], *, within_s: float = WITHIN_S) -> RawFrame:
        """Return the first frame, past or to come, of which this is so.

        Raises:
            Late: there is none in time.
        """
        try:
            async with asyncio.timeout(within_s):
                return await self._first(condition)
        except TimeoutError:
            shown = "\n".join(_short(frame) for frame in self.frames)
            raise Late(
                f"not within {within_s} s on stream {self.hello.data['connection']}, which showed:\n{shown}"
            ) from None

    async def _first(self, condition: Callable[[RawFrame], bool]) -> RawFrame:
        seen = 0
        async with self._news:
            while True:
                for frame in self.frames[seen:]:
                    if condition(frame):
                        return frame
                seen = len(self.frames)
                if self.ended is not None:
                    raise self.ended
                await self._news.wait()

    async def until_signal(self, id: str, *, within_s: float = WITHIN_S) -> dict[str, Any]:
        """Return the signal with this id."""
        frame = await self.until(lambda frame: frame.event == "signal" and frame.data["id"] == id, within_s=within_s)
        data: dict[str, Any] = frame.data
        return data

    async def until_type(self, chat: str, type: str, *, count: int = 1) -> list[dict[str, Any]]:
        """Return the signals of a type in a chat once there are so many."""
        await self.until(lambda _: self.types(chat).count(type) >= count)
        return [signal for signal in self.of(chat) if signal["type"] == type]

    async def caught_up(self) -> None:
        """Wait until everything that was stored before this call and that this person may see has come.

        A connection is written in offset order, so what comes after it in a chat of their own says so.
        """
        if self._diary is None:
            self._diary = (await self._person.client.create_chat("group", title="diary")).id
        sent = await self._person.client.send(self._diary, "up to here")
        await self.until_signal(sent.id)

    async def read(self) -> None:
        """Read until the connection ends."""
        try:
            while True:
                frame = await self.wire.frame(within_s=3600)
                async with self._news:
                    self.frames.append(frame)
                    self._news.notify_all()
        except Ended as ended:
            async with self._news:
                self.ended = ended
                self._news.notify_all()


@asynccontextmanager
async def watching(
    person: Person, *, transport: Transport = "sse", cursor: str | None = None, payload: str | None = None
) -> AsyncIterator[Watch]:
    """Watch somebody's stream; when it is entered, `hello` has come."""
    token = await person.token()
    async with opened(transport, person.client.base_url, token=token, cursor=cursor, payload=payload) as wire:
        hello = await wire.frame()
        assert hello.event == "hello"
        watch = Watch(wire, person=person, hello=hello)
        reading = asyncio.create_task(watch.read())
        try:
            yield watch
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading


def _short(frame: RawFrame) -> str:
    data = frame.data
    told = {name: data[name] for name in ("type", "chat", "by", "at", "data") if name in data}
    return f"{frame.id} {frame.event} {told}"[:200]
