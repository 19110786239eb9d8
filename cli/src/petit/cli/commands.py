"""The commands, their options and their help. What they do is imported when they run: help and completion are quick."""

# ruff: noqa: PLC0415 - what a command does is imported when it runs, so that help and completion are quick
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from petit.cli.talk import Asked


class Commands(TyperGroup):
    """The commands below, and those whose options are written elsewhere: imported when they are asked for."""

    # The context's class is typer's own copy of click's, which has no public name.

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # see above
        """Return the names of all commands, in the order of the help."""
        return [*super().list_commands(ctx), "load"]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | None:  # type: ignore[override]  # see above
        """Return a command by its name, None if there is none."""
        if cmd_name != "load":
            return cast("TyperCommand | None", super().get_command(ctx, cmd_name))
        from petit.cli.load.command import load

        alone = typer.Typer(rich_markup_mode=None, add_completion=False, context_settings=_SETTINGS)
        alone.command("load")(load)
        return cast("TyperCommand", typer.main.get_command(alone))


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
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
    """Start everything; Ctrl-C stops it.

    It listens on 127.0.0.1 only. What dies is started again, and the data stays for the next time.
    """
    from petit.cli.supervisor.logs import Terminal, colours_wanted
    from petit.cli.supervisor.run import Options, up

    terminal = Terminal(sys.stdout, sys.stderr, colours=colours_wanted(sys.stderr, environment=os.environ))
    up(Options(data=data, port=port, processes=processes, durable=durable), terminal=terminal)


As = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="For whom to act; by default who logged in last.", envvar="PETIT_AS"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
ChatWord = Annotated[str, typer.Argument(metavar="CHAT", help="An id, @name for the two of you, or a title.")]
People = Annotated[list[str], typer.Argument(metavar="NAME…", help="Usernames.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]


@app.command()
def login(
    name: Annotated[str | None, typer.Argument(help="Who logs in; without, says who is logged in.")] = None,
    *,
    new: Annotated[
        str | None, typer.Option("--new", metavar="NAME", help="Make this person first, at the development issuer.")
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(help="Asked for if needed; on this machine it is the name.", envvar="PETIT_PASSWORD"),
    ] = None,
    url: Annotated[str | None, typer.Option(help="Another server, as https://chat.example.org.")] = None,
    issuer: Annotated[str | None, typer.Option(help="Its issuer, as https://sso.example.org/realms/petit.")] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Log in.

    The log-in is kept, privately, for the other commands. Several people may be logged in: --as says who acts.
    """
    from petit.cli import enter, session

    if name is not None and new is not None and name != new:
        raise typer.BadParameter("name one person: either NAME or --new NAME")
    who = session.Who(data=data, name=name or new)
    if who.name is None:
        session.run(enter.who_is_in(who, json=json))
        return
    entry = enter.Entry(name=who.name, password=password, new=new is not None, url=url, issuer=issuer)
    session.run(enter.login(who, entry, json=json))


@app.command()
def logout(
    name: Annotated[str | None, typer.Argument(help="Who logs out; by default who logged in last.")] = None,
    *,
    data: Data = DEFAULT_DATA,
) -> None:
    """Log out, here and at the issuer."""
    from petit.cli import enter, session

    session.run(enter.logout(session.Who(data=data, name=name)))


@app.command()
def send(
    chat: ChatWord,
    text: Annotated[str, typer.Argument(help="What to say; - reads it from standard input.")],
    *,
    id: Annotated[
        str | None, typer.Option(help="The message's UUIDv7; sending twice with the same one is one message.")
    ] = None,
    as_: As = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Send a message.

    When this ends well, the message is stored, once, however often it had to be tried.
    """
    from petit.cli import session, talk

    words = sys.stdin.read() if text == "-" else text
    session.run(talk.send(_asked(as_, data, json=json), chat=chat, text=words, id=id))


@app.command()
def tail(  # noqa: PLR0913 - one parameter is one option of the command
    chat: Annotated[str | None, typer.Argument(help="An id, @name, or a title; by default all your chats.")] = None,
    *,
    cursor: Annotated[str | None, typer.Option(help="Resume from here; by default, from now on.")] = None,
    since_start: Annotated[bool, typer.Option("--since-start", help="Everything from the beginning.")] = False,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Stop after so many lines.")] = None,
    transport: Annotated[Literal["sse", "ws"], typer.Option(help="What the stream goes over.")] = "sse",
    as_: As = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Print what happens, as it happens.

    Whatever breaks in between, it resumes by itself, without gap or repetition.
    """
    from petit.cli import follow, session

    if cursor is not None and since_start:
        raise typer.BadParameter("either --cursor or --since-start")
    begin = follow.From(chat=chat, cursor=cursor, since_start=since_start, count=count, transport=transport)
    session.run(follow.tail(_asked(as_, data, json=json), begin))


@app.command()
def chats(*, limit: Limit = 50, as_: As = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """List your chats, latest activity first."""
    from petit.cli import session, talk

    session.run(talk.chats(_asked(as_, data, json=json), limit=limit))


@app.command()
def history(
    chat: ChatWord, *, limit: Limit = 50, as_: As = None, data: Data = DEFAULT_DATA, json: Json = False
) -> None:
    """Print the newest messages of a chat."""
    from petit.cli import session, talk

    session.run(talk.history(_asked(as_, data, json=json), chat=chat, limit=limit))


@app.command()
def rooms(
    prefix: Annotated[str, typer.Argument(help="How the title begins.")] = "",
    *,
    limit: Limit = 50,
    as_: As = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """List the rooms that anyone may join."""
    from petit.cli import session, talk

    session.run(talk.rooms(_asked(as_, data, json=json), prefix=prefix, limit=limit))


@app.command()
def create(
    kind: Annotated[Literal["group", "room"], typer.Argument(help="Rooms are listed, and anyone may join.")],
    title: Annotated[str, typer.Argument(help="What it is called.")],
    people: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Its first members beside you.")] = None,
    *,
    as_: As = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Create a group or a room.

    For two people no chat has to be made: send to @name.
    """
    from petit.cli import session, talk

    session.run(talk.create(_asked(as_, data, json=json), kind=kind, title=title, people=people or []))


@app.command()
def join(
    room: Annotated[str, typer.Argument(help="A room's title or id.")],
    *,
    as_: As = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Join a room; print its last messages."""
    from petit.cli import session, talk

    session.run(talk.join(_asked(as_, data, json=json), room=room))


@app.command()
def leave(chat: ChatWord, *, as_: As = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Leave a group or a room."""
    from petit.cli import session, talk

    session.run(talk.leave(_asked(as_, data, json=json), chat=chat))


@app.command()
def invite(chat: ChatWord, people: People, *, as_: As = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """Make people members of a group or a room."""
    from petit.cli import session, talk

    session.run(talk.invite(_asked(as_, data, json=json), chat=chat, people=people))


@app.command()
def members(chat: ChatWord, *, as_: As = None, data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """List the members of a chat."""
    from petit.cli import session, talk

    session.run(talk.members(_asked(as_, data, json=json), chat=chat))


def _asked(name: str | None, data: Path, *, json: bool) -> "Asked":
    from petit.cli.session import Who
    from petit.cli.talk import Asked

    return Asked(who=Who(data=data, name=name), json=json)


@app.command()
def bootstrap() -> None:
    """Make streams, buckets and tables.

    For the real stack, before its services start and with each new version; set up by PETIT_BOOTSTRAP_…
    It waits for servers that are not up yet, may be repeated, and two may run at once.
    """
    from petit.cli import bootstrap, session, settings

    session.run(bootstrap.bootstrap(settings.read(settings.BootstrapSettings)))


@app.command()
def migrate() -> None:
    """Bring the schema of the read model in ScyllaDB or Cassandra up to this version.

    Set up by PETIT_BOOTSTRAP_CQL_…; part of `petit bootstrap`. Services may go on meanwhile; it may be repeated, and
    two may run at once.
    """
    from petit.cli import migrate, session, settings

    session.run(migrate.migrate(settings.read(settings.MigrateSettings)))


@app.command()
def doctor(
    *,
    new_epoch: Annotated[
        bool,
        typer.Option("--new-epoch", help="Begin the log anew where it is lost, behind or damaged. Nothing may run."),
    ] = False,
    digest: Annotated[
        bool,
        typer.Option("--digest", help="Print the read model's digest: equal for equal logs, however often folded."),
    ] = False,
    stack: Annotated[
        Literal["embedded", "real"],
        typer.Option(help="Which installation: that of `petit up`, or the servers that PETIT_DOCTOR_… names."),
    ] = "embedded",
    data: Data = DEFAULT_DATA,
    json: Json = False,
) -> None:
    """Look at each part; say what to do.

    Exits with 1 if something is not well.
    """
    from petit.cli import doctor, session

    if stack == "real":
        from petit.cli import checkup, settings
        from petit.cli.checkup.epoch import new_epoch as begin_anew

        read = settings.read(settings.DoctorSettings)
        session.run(begin_anew(read) if new_epoch else checkup.checkup(read, json=json))
        return
    if digest:
        doctor.print_digest(data.absolute(), json=json)
        return
    session.run(doctor.new_epoch(data) if new_epoch else doctor.doctor(data.absolute(), json=json))


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there.", dir_okay=False)],
    *,
    data: Data = DEFAULT_DATA,
) -> None:
    """Write log and read model into a file.

    Nothing may run meanwhile, so that both are of the same moment.
    """
    from petit.cli import backup

    backup.backup(data, file)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `petit backup` wrote.", dir_okay=False)],
    *,
    data: Data = DEFAULT_DATA,
) -> None:
    """Make an installation from a backup.

    The folder must not hold one. The log goes on as a new epoch: clients notice, and start over by themselves.
    """
    from petit.cli import backup

    backup.restore(data, file)
