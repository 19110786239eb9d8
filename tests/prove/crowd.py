"""A small town under faults: people who write, devices that look on, and a guest who comes and goes all the time."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import httpx2

from petit.client import ClientError
from petit.contracts.resources import Message
from tests.e2e.history import whole
from tests.e2e.people import People, Person
from tests.e2e.waiting import Late, eventually
from tests.prove.devices import Device
from tests.prove.evidence import Evidence, Stay
from tests.prove.writers import Ledger, listen, send, write

CAUGHT_UP_S: Final = 60.0
"""How long devices may take, at the end, to have seen everything."""
_HERE: Final = frozenset({200, 201, 409})
"""Answers to a join that leave one a member: 409, if an earlier attempt had arrived."""
_GONE: Final = frozenset({204, 404})
_TROUBLE: Final = frozenset({425, 503})
_NOT_FOUND: Final = 404
_VISIT_S: Final = (0.1, 1.5)
_AGAIN_S: Final = 0.2


class Crowd:
    """Everybody, their chats, and what they were told. Enter `gathered` to get one."""

    def __init__(self, people: Sequence[Person], *, seed: int) -> None:
        self._chance = random.Random(seed)
        self.ada, self.bob, self.cat, self.dan, self.eve, self.guest = people
        self.ledger = Ledger()
        self.chats: dict[str, list[Person]] = {}
        """The members who stay. Of the room, the guest is one now and then."""
        self.room = ""
        self.slowest_s = 0.0
        """The longest that a join or a leave of the guest took, over all its tries: these wait for a fold."""
        self.devices = [
            Device(self.ada, transports=("sse",), chance=self._new_chance()),
            Device(self.bob, transports=("ws",), chance=self._new_chance()),
            Device(self.cat, transports=("sse", "ws"), chance=self._new_chance()),
            Device(self.dan, transports=("sse",), chance=self._new_chance()),
            Device(self.dan, transports=("ws",), chance=self._new_chance()),
            Device(self.eve, transports=("ws", "sse"), chance=self._new_chance()),
            Device(self.guest, transports=("sse", "ws"), chance=self._new_chance()),
        ]
        self._over = asyncio.Event()

    @property
    def people(self) -> list[Person]:
        """Everybody."""
        return [self.ada, self.bob, self.cat, self.dan, self.eve, self.guest]

    async def found_chats(self) -> None:
        """Make the chats; everybody is in some, nobody in all."""

        async def make(kind: str, *members: Person) -> str:
            first, *others = members
            ids = [person.id for person in others]
            if kind == "dm":
                chat = await first.client.create_chat("dm", members=ids)
            else:
                chat = await first.client.create_chat("room" if kind == "room" else "group", title=kind, members=ids)
            self.chats[chat.id] = list(members)
            return chat.id

        await make("dm", self.ada, self.bob)
        await make("first", self.ada, self.bob, self.cat)
        await make("second", self.bob, self.cat, self.dan)
        self.room = await make("room", self.eve, self.cat, self.dan)

    def begin(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Begin to write and to come and go; return what `finish` waits for."""
        writing = [
            write(person, chats=chats, ledger=self.ledger, over=self._over, chance=self._new_chance())
            for person in self.people
            if (chats := [chat for chat, members in self.chats.items() if person in members])
        ]
        return [tasks.create_task(work) for work in (*writing, self._come_and_go())]

    async def finish(self, busy: Sequence[asyncio.Task[None]]) -> Evidence:
        """Let everybody come to an end, wait until all devices have seen it, and collect the evidence."""
        self._over.set()
        await asyncio.wait(busy)
        last = {
            chat: await send(members[0], chat=chat, text="last", ledger=self.ledger)
            for chat, members in self.chats.items()
        }
        try:
            await eventually(
                lambda: self._seen({chat: sent.id for chat, sent in last.items() if sent is not None}),
                within_s=CAUGHT_UP_S,
                what="every device has seen the end",
            )
        except Late:  # the verdict says what is missing where
            print(*self.devices, sep="\n")  # noqa: T201 - and this, perhaps, why
        until = max((sent.offset for sent in last.values() if sent is not None), default=0)
        histories: dict[str, dict[str, list[Message]]] = {
            chat: {person.id: await whole(person.client, chat, min_offset=until) for person in self._present(chat)}
            for chat in self.chats
        }
        await self._knock_where_they_are_not()
        return Evidence(
            stays=self._stays(),
            attempts=self.ledger.attempts,
            histories=histories,
            devices=[device.told() for device in self.devices],
        )

    async def progress(self, *, sends: int) -> None:
        """Wait until so many more sends were acknowledged."""
        goal = self.ledger.acknowledged + sends

        async def reached() -> bool:
            return self.ledger.acknowledged >= goal

        await eventually(reached, within_s=CAUGHT_UP_S, what=f"{sends} more sends are acknowledged")

    def figures(self) -> str:
        """Say how much happened."""
        ledger, connections = self.ledger, sum(device.connections for device in self.devices)
        shown = sum(len(device.told().shown) for device in self.devices)
        return (
            f"{ledger.acknowledged} sends acknowledged, {ledger.broken} given up, "
            f"{shown} signals shown over {connections} connections of {len(self.devices)} devices, "
            f"at most {ledger.longest_s:.1f} s without an acknowledged send, "
            f"and {self.slowest_s:.1f} s for a join or a leave; "
            f"answers {dict(sorted(ledger.statuses.items()))}, without one {dict(ledger.cuts)}"
        )

    @property
    def complaints(self) -> list[str]:
        """Return what went wrong where somebody asked: refusals that are none, answers that make no sense."""
        heard = [complaint for device in self.devices for complaint in device.complaints]
        odd = {status: n for status, n in self.ledger.statuses.items() if status not in {200, 201, *_TROUBLE}}
        return [*self.ledger.complaints, *heard, *(f"{n} answers of status {status}" for status, n in odd.items())]

    # ── the guest ────────────────────────────────────────────────────────────────────────────────

    async def _come_and_go(self) -> None:
        """Join the room and leave it; in the end, be there."""
        while not self._over.is_set():
            await self._insist("join", done=_HERE)
            await asyncio.sleep(self._chance.uniform(*_VISIT_S))
            await self._insist("leave", done=_GONE)
        await self._insist("join", done=_HERE)

    async def _insist(self, what: str, *, done: frozenset[int]) -> None:
        begun = time.monotonic()
        while True:
            with suppress(httpx2.TransportError, ClientError):
                answer = await self.guest.ask("POST", f"/v1/chats/{self.room}/{what}")
                if answer.status_code in done:
                    self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
                    return
                if answer.status_code not in _TROUBLE:
                    self.ledger.complaints.append(f"{what} was answered {answer.status_code}: {answer.text}")
            await asyncio.sleep(_AGAIN_S)

    def _stays(self) -> dict[str, dict[str, list[Stay]]]:
        stays: dict[str, dict[str, list[Stay]]] = {
            chat: {person.id: [Stay(first=0)] for person in members} for chat, members in self.chats.items()
        }
        there = [device.told() for device in self.devices if device.person in self.chats[self.room]]
        host = next((told for told in there if all(gap.chat != self.room for gap in told.gaps)), None)
        assert host is not None, "nobody saw all of the room, so nobody knows when the guest was there"
        visits: list[Stay] = []
        for signal in host.shown:
            if signal.chat == self.room and signal.user == self.guest.id:
                if signal.type == "joined":
                    visits.append(Stay(first=signal.offset))
                elif signal.type == "left":
                    visits[-1] = Stay(first=visits[-1].first, last=signal.offset)
        stays[self.room][self.guest.id] = visits
        return stays

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    async def _seen(self, last: dict[str, str]) -> bool:
        return all(
            device.has([id for chat, id in last.items() if device.person in self._present(chat)])
            for device in self.devices
        )

    def _present(self, chat: str) -> list[Person]:
        return [*self.chats[chat], self.guest] if chat == self.room else self.chats[chat]

    async def _knock_where_they_are_not(self) -> None:
        for chat in self.chats:
            for person in self.people:
                if person not in self._present(chat):
                    answer = await person.ask("GET", f"/v1/chats/{chat}/messages")
                    if answer.status_code != _NOT_FOUND:
                        self.ledger.complaints.append(f"{person.username} may read {chat}: {answer.status_code}")

    def _new_chance(self) -> random.Random:
        return random.Random(self._chance.random())


@asynccontextmanager
async def gathered(people: People, *, seed: int) -> AsyncIterator[tuple[Crowd, list[asyncio.Task[None]]]]:
    """Gather everybody, and let them begin; devices look on until the block ends."""
    crowd = Crowd(await people(6), seed=seed)
    await crowd.found_chats()
    async with asyncio.TaskGroup() as tasks:
        for person in crowd.people:
            listen(person, ledger=crowd.ledger)
        looking = [tasks.create_task(device.look()) for device in crowd.devices]
        for device in crowd.devices:
            await device.greeted.wait()
        yield crowd, crowd.begin(tasks)
        for task in looking:
            task.cancel()
