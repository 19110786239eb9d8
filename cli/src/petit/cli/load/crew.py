"""The receiver processes, as the conductor sees them: told together, answering together."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from petit.cli.load.latency import Latencies
from petit.cli.load.orders import (
    ANSWER,
    LINE_MAX,
    Answer,
    Caught,
    CaughtUp,
    Close,
    Collect,
    Cut,
    Open,
    Opened,
    Order,
    Pulse,
    Resume,
    Seat,
    Settle,
    Settled,
    Tally,
)
from petit.cli.load.plan import Address, Transport
from petit.cli.load.stamp import Stamp

_ANSWER_S = 600.0
"""After which a receiver process counts as hung."""
_CLOSE_S = 10.0
A = TypeVar("A", Opened, Settled, Tally, CaughtUp)


class StreamsRefused(Exception):
    """The server does not open the streams that the run is about."""


class CrewLost(Exception):
    """A receiver process ended or said something unexpected: a bug of the generator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What all receiver processes together received since the last time; see `orders.Tally`."""

    deliveries: int
    latency: Latencies
    orders: list[dict[int, list[int]]]
    """Numbers of each room's messages, in order, one mapping of each process."""
    offsets: dict[int, int]
    violations: list[str]
    last: int
    """Monotonic nanoseconds of the last arrival, 0 if none."""
    cuts: int
    octets: int
    cpu_s: list[float]
    """CPU-seconds of each process since its start."""


class _Hand:
    """One receiver process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise CrewLost("a receiver process was started without pipes")
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self.pulse = Pulse(live=0, deliveries=0)

    async def listen(self) -> None:
        while line := await self._stdout.readline():
            answer = ANSWER.validate_json(line)
            if isinstance(answer, Pulse):
                self.pulse = answer
            else:
                self._answers.put_nowait(answer)
        self._answers.put_nowait(None)

    async def ask(self, order: Order, *, expect: type[A]) -> A:
        self._stdin.write(order.model_dump_json().encode() + b"\n")
        await self._stdin.drain()
        async with asyncio.timeout(_ANSWER_S):
            answer = await self._answers.get()
        if not isinstance(answer, expect):
            raise CrewLost(f"receiver process {self._process.pid} said {answer!r} to {order.do}")
        return answer

    async def close(self) -> None:
        try:
            self._stdin.write(Close().model_dump_json().encode() + b"\n")
            self._stdin.close()
            async with asyncio.timeout(_CLOSE_S):
                await self._process.wait()
        except (OSError, TimeoutError):
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


class Crew:
    """All receiver processes of one run."""

    def __init__(self, hands: list[_Hand]) -> None:
        self._hands = hands

    @property
    def live(self) -> int:
        """How many streams were open a second ago."""
        return sum(hand.pulse.live for hand in self._hands)

    @property
    def deliveries(self) -> int:
        """How many messages had arrived a second ago."""
        return sum(hand.pulse.deliveries for hand in self._hands)

    async def open(self, address: Address, *, seats: list[Seat], transport: Transport, stamp: Stamp) -> None:
        """Open all streams, the rooms shared out over the processes.

        Raises:
            StreamsRefused: some did not open.
        """
        share: list[list[Seat]] = [[] for _ in self._hands]
        for seat in seats:
            share[seat.room % len(share)].append(seat)
        opens = [
            Open(
                host=address.host,
                port=address.port,
                transport=transport,
                mark=stamp.mark.decode("ascii"),
                size=stamp.size,
                seats=part,
            )
            for part in share
        ]
        answers = await asyncio.gather(
            *(hand.ask(order, expect=Opened) for hand, order in zip(self._hands, opens, strict=True))
        )
        refused = [why for answer in answers for why in answer.refused]
        if refused:
            raise StreamsRefused(f"{len(refused)} of {len(seats)} streams did not open, first {refused[0]}")

    async def settle(self, expected: dict[int, int], *, seconds: float) -> int:
        """Wait until every device has what its room was sent, and return how many deliveries are missing."""
        answers = await self._ask(Settle(expected=expected, seconds=seconds), expect=Settled)
        return sum(answer.missing for answer in answers)

    async def cut(self) -> None:
        """End every stream at once."""
        await self._ask(Cut(), expect=Opened)

    async def resume(self) -> list[str]:
        """Open every stream again from its cursor, and say why some did not open."""
        return [why for answer in await self._ask(Resume(), expect=Opened) for why in answer.refused]

    async def caught(self, before: int) -> CaughtUp:
        """Say when each device had everything that was due before a moment of monotonic nanoseconds."""
        answers = await self._ask(Caught(before=before), expect=CaughtUp)
        moments = [moment for answer in answers for moment in answer.moments]
        return CaughtUp(moments=moments, never=sum(answer.never for answer in answers))

    async def collect(self) -> Heard:
        """Gather what arrived since the last time."""
        tallies = await self._ask(Collect(), expect=Tally)
        latency: Latencies = Counter()
        for tally in tallies:
            latency.update(tally.latency)
        return Heard(
            deliveries=sum(tally.deliveries for tally in tallies),
            latency=latency,
            orders=[tally.rooms for tally in tallies],
            offsets={number: at for tally in tallies for number, at in tally.offsets.items()},
            violations=[what for tally in tallies for what in tally.violations],
            last=max(tally.last for tally in tallies),
            cuts=sum(tally.cuts for tally in tallies),
            octets=sum(tally.octets for tally in tallies),
            cpu_s=[tally.cpu_s for tally in tallies],
        )

    async def _ask(self, order: Order, *, expect: type[A]) -> list[A]:
        return await asyncio.gather(*(hand.ask(order, expect=expect) for hand in self._hands))


@asynccontextmanager
async def crew(workers: int) -> AsyncIterator[Crew]:
    """Start receiver processes, and end them on the way out."""
    hands: list[_Hand] = []
    async with asyncio.TaskGroup() as tasks:
        try:
            for _ in range(workers):
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "petit.cli.load.worker",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=LINE_MAX,
                )
                hand = _Hand(process)
                hands.append(hand)
                tasks.create_task(hand.listen())
            yield Crew(hands)
        finally:
            for hand in hands:
                await hand.close()
