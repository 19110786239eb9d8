"""Everyone who listens in one receiver process: opened, waited for, cut, and finally explained."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine

from petit.cli.load.audit import Listener, Room, explain
from petit.cli.load.latency import Latencies, of_arrivals
from petit.cli.load.orders import CaughtUp, Open, Opened, Tally
from petit.cli.load.plan import Address
from petit.cli.load.stream import Device, Refused, Wire

_OPENING_MAX = 500
"""Connections being opened at once."""
_POLL_S = 0.01


class Audience:
    """The devices of one `Open` order."""

    def __init__(self, order: Open, *, spawn: Callable[[Coroutine[None, None, None]], object]) -> None:
        wire = Wire(
            address=Address(host=order.host, port=order.port),
            transport=order.transport,
            mark=order.mark.encode("ascii"),
            size=order.size,
            gate=asyncio.Semaphore(_OPENING_MAX),
            spawn=spawn,
        )
        self._rooms: dict[int, Room] = {}
        self._seated: defaultdict[int, list[Device]] = defaultdict(list)
        self._collected: dict[str, int] = {}
        """How many messages each listener had at the last tally."""
        for seat in order.seats:
            room = self._rooms.setdefault(seat.room, Room(index=seat.room, chat=seat.chat))
            device = Device(Listener(room, name=seat.name), token=seat.token, wire=wire, full=seat.full)
            self._seated[seat.room].append(device)

    @property
    def _devices(self) -> list[Device]:
        return [device for devices in self._seated.values() for device in devices]

    @property
    def live(self) -> int:
        """How many streams are open and greeted."""
        return sum(device.live for device in self._devices)

    @property
    def deliveries(self) -> int:
        """How many messages arrived, over all devices."""
        return sum(device.listener.received for device in self._devices)

    async def open(self) -> Opened:
        """Open, or open again, every stream and wait for all of them."""
        refused: list[str] = []

        async def one(device: Device) -> None:
            try:
                await device.open()
            except (Refused, OSError, TimeoutError) as error:
                refused.append(f"{device.listener.name}: {str(error) or type(error).__name__}")

        async with asyncio.TaskGroup() as opening:
            for device in self._devices:
                opening.create_task(one(device))
        return Opened(live=self.live, refused=refused)

    def cut(self) -> None:
        """End every connection at once."""
        for device in self._devices:
            device.cut()

    async def settle(self, expected: dict[int, int], *, seconds: float) -> int:
        """Wait until every device has as many messages as its room had, and return how many are missing."""
        deadline = time.monotonic() + seconds
        while True:
            missing = sum(
                max(0, count - device.listener.received)
                for room, count in expected.items()
                for device in self._seated.get(room, ())
            )
            if not missing or time.monotonic() >= deadline:
                return missing
            await asyncio.sleep(_POLL_S)

    def caught(self, before: int) -> CaughtUp:
        """Say when each device had everything that was due before a moment."""
        moments: list[int] = []
        never = 0
        for index, devices in self._seated.items():
            due = self._rooms[index].due
            needed = 1 + max((place for place, moment in enumerate(due) if moment < before), default=-1)
            for device in devices:
                moment = self._caught(device, needed=needed)
                if moment is None:
                    never += 1
                else:
                    moments.append(moment)
        return CaughtUp(moments=moments, never=never)

    def _caught(self, device: Device, *, needed: int) -> int | None:
        listener = device.listener
        if not device.live or listener.received < needed:
            return None
        had = self._collected.get(listener.name, 0)
        arrivals = listener.arrivals
        for now, count in zip(arrivals[::2], arrivals[1::2], strict=True):
            if had >= needed:
                break
            had += count
            if had >= needed:
                return max(now, device.greeted_at)
        return device.greeted_at

    def collect(self) -> Tally:
        """Report what arrived since the last time, and forget when."""
        latencies: Latencies = Counter()
        deliveries = 0
        first: list[int] = []
        last: list[int] = []
        for device in self._devices:
            listener = device.listener
            arrivals, start = listener.arrivals, self._collected.get(listener.name, 0)
            if arrivals:
                first.append(arrivals[0])
                last.append(arrivals[-2])
            if listener.own is None:
                pairs = zip(arrivals[::2], arrivals[1::2], strict=True)
                latencies.update(of_arrivals(pairs, due=listener.room.due, start=start))
            deliveries += listener.received - start
            self._collected[listener.name] = listener.received
            del arrivals[:]
        violations = [
            what
            for index, devices in self._seated.items()
            for what in explain(self._rooms[index], [device.listener for device in devices])
        ]
        return Tally(
            deliveries=deliveries,
            latency=dict(latencies),
            rooms={index: [int(number) for number in room.order] for index, room in self._rooms.items()},
            offsets={number: at for room in self._rooms.values() for number, at in room.offsets.items()},
            violations=violations,
            first=min(first, default=0),
            last=max(last, default=0),
            cuts=sum(device.cuts for device in self._devices),
            octets=sum(device.octets for device in self._devices),
            cpu_s=time.process_time(),
        )
