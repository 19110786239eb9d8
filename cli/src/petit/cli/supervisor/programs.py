"""Which processes make one installation: a single one, or edges and chats beside one another."""

from pathlib import Path
from typing import Final

from petit.cli.supervisor.children import Program

EDGES: Final = 0
CHATS: Final = 1
"""Groups, in the order in which they stop: what answers people first, then what it asks."""


def programs(
    processes: int, *, port: int, data: Path, nats_url: str, nats_token: str, environment: dict[str, str]
) -> list[Program]:
    """Return what to run.

    Args:
        processes: 0 for everything in one process; else so many edges and so many chats.
        port: Where the edges listen.
        data: The installation's folder.
        nats_url: Where the log server listens.
        nats_token: What to show it; given in the environment, which other users cannot read.
        environment: Further variables.
    """
    common = ("--data", str(data), "--port", str(port), "--nats", nats_url)
    environment = {**environment, "PETIT_NATS_TOKEN": nats_token}

    def program(role: str, name: str, group: int) -> Program:
        arguments = ("petit.cli.serve", "--role", role, "--name", name, *common)
        return Program(name=name, arguments=arguments, environment=environment, group=group)

    if not processes:
        return [program("all", "server", EDGES)]
    edges = [program("edge", f"edge-{number}", EDGES) for number in range(processes)]
    return edges + [program("chat", f"chat-{number}", CHATS) for number in range(processes)]
