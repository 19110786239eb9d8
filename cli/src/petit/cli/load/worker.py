"""A receiver process: opens streams, checks every delivery, and answers the conductor's orders.

It reads `orders` from standard input and answers on standard output; it ends when standard input does,
so that no receiver outlives its conductor.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import assert_never

import uvloop

from petit.cli.load.audience import Audience
from petit.cli.load.orders import (
    LINE_MAX,
    ORDER,
    Answer,
    Caught,
    Close,
    Collect,
    Cut,
    Open,
    Opened,
    Pulse,
    Resume,
    Settle,
    Settled,
)

_PULSE_S = 1.0


async def serve(orders: asyncio.StreamReader, *, say: Callable[[Answer], None]) -> None:
    """Follow orders until they end or say `Close`.

    Raises:
        ValueError: the first order is not to open streams.
    """
    async with asyncio.TaskGroup() as tasks:
        running: set[asyncio.Task[None]] = set()

        def spawn(work: Coroutine[None, None, None]) -> None:
            task = tasks.create_task(work)
            running.add(task)
            task.add_done_callback(running.discard)

        audience: Audience | None = None
        while line := await orders.readline():
            order = ORDER.validate_json(line)
            if isinstance(order, Close):
                break
            if isinstance(order, Open):
                _end(audience, running=running)
                audience = Audience(order, spawn=spawn)
                spawn(_pulse(audience, say=say))
            if audience is None:
                raise ValueError(f"order {order.do} before any stream was opened")
            say(await _follow(order, audience=audience))
        _end(audience, running=running)


def _end(audience: Audience | None, *, running: set[asyncio.Task[None]]) -> None:
    if audience is not None:
        audience.cut()
    for task in running:
        task.cancel()


async def _follow(order: Open | Settle | Collect | Cut | Resume | Caught, *, audience: Audience) -> Answer:
    match order:
        case Open() | Resume():
            opened = await audience.open()
            # What lives now lives to the end; the collector's pauses would count as latency.
            gc.collect()
            gc.freeze()
            gc.disable()
            return opened
        case Settle():
            return Settled(missing=await audience.settle(order.expected, seconds=order.seconds))
        case Collect():
            return audience.collect()
        case Cut():
            audience.cut()
            return Opened(live=0, refused=[])
        case Caught():
            return audience.caught(order.before)
        case _:
            assert_never(order)


async def _pulse(audience: Audience, *, say: Callable[[Answer], None]) -> None:
    while True:
        await asyncio.sleep(_PULSE_S)
        say(Pulse(live=audience.live, deliveries=audience.deliveries))


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(answer.model_dump_json().encode() + b"\n")
    sys.stdout.buffer.flush()


async def _main() -> None:
    reader = asyncio.StreamReader(limit=LINE_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await serve(reader, say=_say)


def main() -> None:
    """Run one receiver process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the conductor, who ends this process in order
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())


if __name__ == "__main__":
    main()
