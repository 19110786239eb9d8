"""A read model is disposable: thrown away, it comes back to the byte; and a long history does not cost a start."""

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from petit.contracts.resources import Sent
from tests.e2e.local import LocalStack
from tests.e2e.people import People, Person
from tests.e2e.scale import FULL, scaled, within
from tests.e2e.waiting import eventually
from tests.e2e.wire import open_sse, signals
from tests.prove.filling import Town, fill, founded

pytestmark = pytest.mark.embedded

STEPS = (scaled(5_000, full=100_000), scaled(20_000, full=1_000_000))
"""Messages after each of which it is started anew."""
FOLDED_S = scaled(60, full=3_600)
FORGOTTEN_S = scaled(0, full=130)
"""Until the log has forgotten the ids of its last two minutes, which are in its memory; the short run does not wait."""
MORE = 1.25
"""Memory may not grow by more than this factor from the first step to the second."""
LATER_S = 10.0
"""The second start may take so much longer than twice the first."""


def _print(line: str) -> None:
    print(f"  {line}", flush=True)  # noqa: T201 - progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a start on a history cost."""

    messages: int
    ready_s: float
    """Until everything was ready."""
    delivered_s: float
    """Until the first message after it had been sent and seen."""
    services_mib: float
    """What the services had in memory then, shared pages by their share."""
    log_mib: float
    """What nats-server had."""

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.messages} messages: ready after {self.ready_s:.1f} s, first message seen after "
            f"{self.delivered_s:.1f} s, services {self.services_mib:.0f} MiB, log {self.log_mib:.0f} MiB"
        )


def _pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    [kib] = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return kib / 1024


async def _started(stack: LocalStack, person: Person, *, chat: str, messages: int) -> Start:
    """Start, send a message and see it, and say what that cost."""
    begun = time.monotonic()
    await asyncio.to_thread(stack.start)
    ready_s = time.monotonic() - begun
    async with open_sse(stack.url, token=await person.token()) as wire:
        hello = await wire.frame()
        assert hello.event == "hello"
        sent = await person.client.send(chat, "first after a start")
        async for frame in signals(wire):
            if frame.data["id"] == sent.id:
                break
    delivered_s = time.monotonic() - begun
    memory = {name: _pss_mib(pid) for name, pid in stack.pids().items()}
    log_mib = memory.pop("nats-server")
    return Start(
        messages=messages,
        ready_s=ready_s,
        delivered_s=delivered_s,
        services_mib=sum(memory.values()),
        log_mib=log_mib,
    )


async def _until_folded(person: Person, *, last: Sent) -> None:
    path = f"/v1/chats/{last.chat}/messages?limit=1&min_offset={last.offset}"

    async def folded() -> bool:
        return (await person.ask("GET", path)).is_success

    await eventually(folded, within_s=FOLDED_S, what=f"everything is folded up to offset {last.offset}")


def _digest(stack: LocalStack) -> str:
    """Return the digest of a read model that rests."""
    asked = stack.petit("doctor", "--digest", within_s=FOLDED_S)
    assert asked.returncode == 0, asked.stderr
    digest = asked.stdout.strip()
    assert len(digest) == 64
    return digest


@pytest.mark.proof
@within(150)
async def test_a_read_model_that_was_thrown_away_comes_back_to_the_byte(
    own_stack: Callable[..., LocalStack], figure: Callable[[str], None]
) -> None:
    """The same digest; and starts that cost the same, however long the history: 1,000,000 messages in full."""
    stack, starts = own_stack(), list[Start]()
    stack.start()
    async with People(stack) as people:
        town, written, last = await founded(people), 0, None
        for goal in STEPS:
            last = await fill(town, messages=goal - written, seed=goal, tell=_print)
            written = goal
            await _until_folded(town.writers[0], last=last)
            assert (await asyncio.to_thread(stack.stop)).status == 0
            await asyncio.sleep(FORGOTTEN_S)
            starts.append(await _started(stack, town.writers[0], chat=town.chats[0], messages=goal))
            _print(str(starts[-1]))
        assert last is not None
        took_s = await _check_rebuild(stack, town, last=last)

    for start in starts:
        figure(str(start))
    figure(f"{written} messages folded anew in {took_s:.0f} s, {written / took_s:.0f}/s; the digest is the same")
    first, second = starts
    assert second.services_mib < MORE * first.services_mib
    assert second.log_mib < MORE * first.log_mib or not FULL
    assert second.ready_s < 2 * first.ready_s + LATER_S


async def _check_rebuild(stack: LocalStack, town: Town, *, last: Sent) -> float:
    """Throw the read model away, let it be folded anew, compare; return the seconds that took."""
    await _until_folded(town.writers[0], last=last)
    assert (await asyncio.to_thread(stack.stop)).status == 0
    before = await asyncio.to_thread(_digest, stack)
    shutil.rmtree(stack.data / "chat")
    begun = time.monotonic()
    await asyncio.to_thread(stack.start)
    await _until_folded(town.writers[0], last=last)
    took_s = time.monotonic() - begun
    assert (await asyncio.to_thread(stack.stop)).status == 0
    assert await asyncio.to_thread(_digest, stack) == before
    return took_s
