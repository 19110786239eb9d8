"""How the command line runs, and how it ends.

Exit codes: 0 done · 1 refused, or something is wrong, and one paragraph on standard error says what to do ·
2 the command was not understood · 130 interrupted by Ctrl-C.
"""

import os
import sys

import typer

from petit.cli.commands import app
from petit.cli.datadir import PRIVATE_UMASK
from petit.cli.trouble import REFUSED, Trouble


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line, without arguments the help, and return its exit code."""
    os.umask(PRIVATE_UMASK)  # whatever a command writes is its owner's alone
    command = typer.main.get_command(app)
    try:
        command.main(args=arguments or ["--help"], prog_name="petit")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except Trouble as trouble:
        typer.echo(f"petit: {trouble}", err=True)
        return trouble.code
    except Exception as error:
        words = _words(error)
        if words is None:
            raise
        typer.echo(f"petit: {words}", err=True)
        return REFUSED
    return 0


def _words(error: Exception) -> str | None:
    """Return what to say of an error that the client made on purpose; None for a bug."""
    if "petit.client.errors" not in sys.modules:  # then it is not one of those, and importing takes its time
        return None
    from petit.client.errors import ApiProblem, ClientError, Unreachable  # noqa: PLC0415 - see above

    match error:
        case ApiProblem():
            return f"{error.problem.detail} ({error.code})"
        case Unreachable():
            return f"{error}. Is it running? ./petit up starts it, ./petit doctor looks what is wrong"
        case ClientError():
            return str(error)
        case _:
            return None
