"""The command `petit load`: options in, a text and perhaps a JSON file out.

Exit codes: 0 with figures, 1 where a delivery was lost, doubled or out of order (the run has no score),
2 for options that make no sense, 3 where the run could not take place.
"""

# ruff: noqa: PLC0415 - what a command does is imported when it runs, so that help and completion are quick
import asyncio
import json as json_text
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from petit.cli.load.plan import Address, Mode, Plan, SendBy, Stack, Transport, parse_rates
from petit.cli.load.stamp import MIN_SIZE

if TYPE_CHECKING:
    from petit.cli.load.result import Result

NO_SCORE: Final = 1
NO_RUN: Final = 3
_URL: Final = "http://127.0.0.1:8080"


def load(  # noqa: PLR0913 - one parameter is one option of the command
    *,
    url: Annotated[
        str | None, typer.Option(help=f"Base URL; by default where --data runs, or {_URL}.", show_default=False)
    ] = None,
    stack: Annotated[
        Stack,
        typer.Option(help="What runs there; with `real`, people are made with PETIT_SERVICE_SECRET instead of --data."),
    ] = Stack.EMBEDDED,
    issuer: Annotated[
        str, typer.Option(help="Base URL of Keycloak, admin API included, where it is not the server's.")
    ] = "",
    secret: Annotated[
        str,
        typer.Option(
            help="Of client petit-gateway, to make people.", envvar="PETIT_SERVICE_SECRET", show_default=False
        ),
    ] = "",
    mode: Annotated[Mode, typer.Option(help="Which scenario to run.")] = Mode.FANOUT,
    rooms: Annotated[int, typer.Option(min=1, help="Rooms.")] = 20,
    members: Annotated[int, typer.Option(min=1, help="People in each room; all of them listen.")] = 50,
    rate: Annotated[
        str, typer.Option(help="Messages per second over all rooms, in steps: 100,200,400; or max.")
    ] = "400",
    size: Annotated[int, typer.Option(min=MIN_SIZE, max=8000, help="Bytes of each text.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each step sends.")] = 10.0,
    transport: Annotated[Transport, typer.Option(help="How receivers listen.")] = Transport.SSE,
    send: Annotated[SendBy, typer.Option(help="How senders send.")] = SendBy.REST,
    senders: Annotated[int, typer.Option(min=1, help="How many of each room's members send.")] = 4,
    inflight: Annotated[int, typer.Option(min=1, help="Sends that may be unanswered at once.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Receiver processes.")] = 1,
    floor: Annotated[bool, typer.Option(help="Measure a bare asyncio hub too, and print ratios.")] = True,
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of the installation, to find its processes and to make people.",
            envvar="PETIT_DATA",
            file_okay=False,
        ),
    ] = Path(".petit"),
    pids: Annotated[str, typer.Option(help="The server's processes as name=pid,…, instead of --data's.")] = "",
    sizes: Annotated[str, typer.Option(help="growth: stored messages at which to measure.")] = "10000,100000",
    outage: Annotated[float, typer.Option(min=0.0, help="storm: seconds between cut and return.")] = 1.0,
    warm_up: Annotated[float, typer.Option(min=0.1, help="Seconds of rest, and then of unscored sending.")] = 1.0,
    grace: Annotated[
        float, typer.Option(min=0.1, help="Seconds that a delivery may be late before it counts as lost.")
    ] = 30.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write JSON there as well.", dir_okay=False)] = None,
) -> None:
    """Measure a running server under open-loop load: throughput, latency, CPU and memory, every delivery checked.

    Latency counts from when a message was due, whatever the server does. Progress goes to standard error.
    Exits with 1, and without a score, if a delivery was lost, doubled or out of order.
    """
    from petit.cli.load.people import read_secret

    local = data if stack is Stack.EMBEDDED and data.exists() else None
    try:
        address = Address.parse(url or (local and _running(local)) or _URL)
        plan = Plan(
            mode=mode,
            address=address,
            issuer=Address.parse(issuer) if issuer else address,
            secret=secret or read_secret(local),
            rooms=rooms,
            members=members,
            rates=parse_rates(rate),
            size=size,
            seconds=seconds,
            transport=transport,
            send_by=send,
            senders=senders,
            inflight=inflight,
            workers=workers,
            floor=floor,
            data=local,
            pids=pids,
            sizes=tuple(sorted(int(part) for part in sizes.split(","))),
            outage=outage,
            warm_up=warm_up,
            grace=grace,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    result = _conduct(plan)
    from petit.cli.load.report import dump, text

    if out is not None:
        out.write_bytes(dump(result))
    typer.echo(dump(result) if json else text(result), nl=False)
    if result.violations:
        raise typer.Exit(NO_SCORE)


def _running(data: Path) -> str | None:
    """Return the base URL that `petit up` wrote down, if it runs there."""
    try:
        return str(json_text.loads((data / "run.json").read_bytes())["url"])
    except (OSError, ValueError, KeyError):
        return None


def _conduct(plan: Plan) -> "Result":
    import uvloop

    from petit.cli.load.api import ApiRefused
    from petit.cli.load.conduct import conduct
    from petit.cli.load.crew import CrewLost, StreamsRefused
    from petit.cli.load.meter import NoProcess
    from petit.cli.load.people import NoPeople
    from petit.cli.load.progress import Progress

    command = shlex.join(["petit", *sys.argv[1:]])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(conduct(plan, command=command, progress=Progress()))
    except* (NoProcess, NoPeople, ApiRefused, StreamsRefused, CrewLost, OSError, TimeoutError) as group:
        typer.echo(f"petit load: {_first(group)}", err=True)
    raise typer.Exit(NO_RUN)


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
