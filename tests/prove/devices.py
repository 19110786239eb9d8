"""Devices that look on: each resumes by the cursor of its last frame, wherever and however it finds a stream."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from websockets.exceptions import WebSocketException

from petit.client import ClientError
from petit.contracts.cursor import Cursor
from tests.e2e.people import Person
from tests.e2e.wire import Ended, RawFrame, RefusedStream, SocketWire, SseWire, Transport, opened
from tests.prove.evidence import Gap, Shown, Told

_SILENCE: Final = 2.5
"""Heartbeats that may fail to come until a device tries another connection."""
_AGAIN_S: Final = 0.05
_UNAVAILABLE: Final = 503
_LOST: Final = (Ended, EOFError, OSError, TimeoutError, WebSocketException, ClientError)
"""What ends a connection, or keeps one from being made: a device tries again."""


class Device:
    """One device of somebody, over all its connections."""

    def __init__(self, person: Person, *, transports: Sequence[Transport], chance: random.Random) -> None:
        self.person = person
        self.transports = transports
        self.connections = 0
        self.refused = 0
        """How often a stream was answered with 503."""
        self.complaints: list[str] = []
        self.trouble = ""
        """How the last connection ended, or why there was none."""
        self._shown: list[Shown] = []
        self._gaps: list[Gap] = []
        self._chance = chance
        self._cursor: str | None = None
        self._began = 0
        self._ids: set[str] = set()
        self.greeted = asyncio.Event()
        """Set with the first `hello`."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.person.username}'s device ({' and '.join(self.transports)})"

    def __str__(self) -> str:
        """Say how it fared."""
        return (
            f"{self.name}: {self.connections} connections, {self.refused} refusals, at {self._cursor}; {self.trouble}"
        )

    def has(self, ids: Sequence[str]) -> bool:
        """Say whether signals with these ids were shown."""
        return self._ids.issuperset(ids)

    def told(self) -> Told:
        """Return what it was told."""
        return Told(
            name=self.name, user=self.person.id, began=self._began, shown=tuple(self._shown), gaps=tuple(self._gaps)
        )

    async def look(self) -> None:
        """Connect and read, again and again, until cancelled."""
        while True:
            try:
                await self._one_connection(self._chance.choice(self.transports))
            except RefusedStream as refused:
                if refused.status != _UNAVAILABLE:
                    self.complaints.append(f"{self.name} was refused a stream: {refused}")
                self.refused += 1
                self.trouble = repr(refused)
            except _LOST as error:
                self.trouble = repr(error)
            await asyncio.sleep(_AGAIN_S)

    async def _one_connection(self, transport: Transport) -> None:
        token = await self.person.token()
        by_header = transport == "sse" and self._cursor is not None and self._chance.random() < 1 / 2
        headers = {"Last-Event-ID": self._cursor or ""} if by_header else {}
        query = {} if by_header else {"cursor": self._cursor}
        async with opened(transport, self.person.client.base_url, token=token, headers=headers, **query) as wire:
            self.connections += 1
            heartbeat_s = self._greet(await wire.frame())
            if heartbeat_s is not None:
                await self._read(wire, within_s=heartbeat_s * _SILENCE)

    async def _read(self, wire: SseWire | SocketWire, *, within_s: float) -> None:
        while True:
            frame = await wire.frame(within_s=within_s)
            if frame.event == "gap":
                told = frame.data
                self._gaps.append(Gap(chat=told["chat"], after=told["after_offset"], to=told["to_offset"]))
            if frame.event == "signal":
                self._take(frame)
            if frame.id is not None:
                self._cursor = frame.id

    def _greet(self, hello: RawFrame) -> float | None:
        """Take the first frame; return after how many seconds of silence a heartbeat is due, None if it is no hello."""
        if hello.event != "hello":
            self.complaints.append(f"{self.name} was greeted by {hello}")
            return None
        cursor: str = hello.data["cursor"]
        if hello.id != cursor or self._cursor not in {None, cursor}:
            self.complaints.append(f"{self.name} resumed from {self._cursor} and was greeted by {hello}")
        if self._cursor is None:
            self._began = Cursor.parse(cursor).offset
        self._cursor = cursor
        self.greeted.set()
        return float(hello.data["heartbeat_s"])

    def _take(self, frame: RawFrame) -> None:
        data = frame.data
        if frame.id is None or Cursor.parse(frame.id).offset != data["offset"]:
            self.complaints.append(f"{self.name}: the id of {frame} is not its offset")
        self._ids.add(data["id"])
        self._shown.append(
            Shown(
                offset=data["offset"],
                seq=data.get("seq"),
                id=data["id"],
                type=data["type"],
                chat=data.get("chat"),
                by=data["by"],
                text=data["data"].get("text"),
                user=data["data"].get("user"),
            )
        )
