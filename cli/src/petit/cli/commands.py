"""The commands, their options and their help. What they do is imported when they run: help and completion are quick."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs, so that help and completion are quick
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def petit() -> None:
    """Petit Chat: a self-hosted chat backend. Begin with `petit up`."""


Data = Annotated[
    Path, typer.Option(help="Folder of the installation.", envvar="PETIT_DATA", file_okay=False, show_default=True)
]
DEFAULT_DATA = Path(".petit")


@app.command()
def up(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen on 127.0.0.1; 0 for a free port.")
    ] = 8080,
    data: Data = DEFAULT_DATA,
    processes: Annotated[
        int,
        typer.Option(min=0, max=16, help="So many edges and so many chats as processes of their own; 0: one for all."),
    ] = 0,
    durable: Annotated[
        bool, typer.Option("--durable", help="Flush every message to the disk before it is acknowledged.")
    ] = False,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C; the data stays."""
    from petit.cli.supervisor.logs import Terminal, colours_wanted
    from petit.cli.supervisor.run import Options, up

    terminal = Terminal(sys.stdout, sys.stderr, colours=colours_wanted(sys.stderr, environment=os.environ))
    up(Options(data=data, port=port, processes=processes, durable=durable), terminal=terminal)
