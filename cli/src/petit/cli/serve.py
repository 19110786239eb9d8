"""One server process of `petit up`: `python -m petit.cli.serve --role all|edge|chat …`.

It is started by the supervisor and talks to it: on standard output it says when it is ready, and what no
restart would cure; on standard error it logs, one JSON object a line. When the supervisor is gone, it goes.
"""

import argparse
import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog

from petit.cli import datadir, faults, voice
from petit.cli.datadir import DataDir
from petit.cli.edge import edge
from petit.cli.folds import folds
from petit.cli.place import Place
from petit.cli.prctl import die_with_parent
from petit.cli.settings import LocalSettings
from petit.kit import serving
from petit.kit.access import Access
from petit.kit.process import configure_logs, leaves

FATAL: Final = 78
"""Exit status: sysexits.h calls it EX_CONFIG."""
_LOGGER: Final = structlog.get_logger("petit.cli.serve")


def main() -> None:
    """Run the process until it is told to stop."""
    die_with_parent()
    os.umask(datadir.PRIVATE_UMASK)
    configure_logs()
    options = _options()
    place = Place(
        name=options.name,
        data=DataDir(options.data),
        port=options.port,
        nats=Access(url=options.nats, token=os.environ["PETIT_NATS_TOKEN"]),
        settings=LocalSettings(),
    )
    try:
        serving.run(_serve(options.role, place))
    except BaseException as error:
        why = next(filter(None, map(faults.explain, leaves(error))), None)
        if why is None:
            raise
        _LOGGER.info("process.refused", why=why)  # the supervisor says it loudly
        voice.tell_fatal(why)
        sys.exit(FATAL)


async def _serve(role: str, place: Place) -> None:
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _on_stdin)
    async with AsyncExitStack() as parts:
        if role in {"all", "chat"}:
            await parts.enter_async_context(folds(place))
        if role in {"all", "edge"}:
            await parts.enter_async_context(edge(place))
        voice.tell_ready()
        _LOGGER.info("process.ready", role=role)
        number = await serving.stop_requested()
        _LOGGER.info("process.stopping", signal=number.name)


def _on_stdin() -> None:
    if not os.read(sys.stdin.fileno(), 1024):  # the supervisor's end is closed: it is gone
        os._exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="petit.cli.serve", description=__doc__)
    parser.add_argument("--role", choices=("all", "edge", "chat"), required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--nats", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
