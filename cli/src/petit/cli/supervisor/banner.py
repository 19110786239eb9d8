"""What `petit up` prints when everything is ready."""

from pathlib import Path

from petit.cli.datadir import Running

PEOPLE = "ada bob cat dan eve"


def banner(running: Running, *, data: Path, took_s: float) -> str:
    """Return what is ready, where it is, and lines to paste into two other terminals."""
    option = "" if data == Path(".petit") else f" --data {data}"
    services = ", ".join(name for name in running.processes if name != "nats-server")
    return f"""\
Petit Chat is ready after {took_s:.1f} s: nats-server, {services}.

  page    {running.url}/            two people side by side
  API     {running.url}/v1
  log in  {running.url}/realms/petit   {PEOPLE}, each with the name as password; root is ADMIN
  log     {running.nats}
  data    {data}

Chat in two other terminals:

  ./petit login ada{option} && ./petit tail --as ada{option}
  ./petit login bob{option} && ./petit send --as bob{option} @ada "Hello, Ada!"

Ctrl-C stops everything and keeps the data."""
