"""TCP ports of the loopback interface that nobody listens on, for servers that are started, and started again.

Not those that `bind` gives for port 0: it takes them from where outgoing connections come from (ip(7),
`ip_local_port_range`), so that between two starts of a server any connection of anybody may get its port.
"""

import random
import socket
from typing import Final

_CANDIDATES: Final = range(20_000, 30_000)
"""Below the outgoing ones by default (Linux 32768, others 49152), and below NodePorts of Kubernetes (30000)."""


def free_ports(count: int) -> list[int]:
    """Return so many different ports, at least one, none of which is in use now.

    Raises:
        OSError: there are not so many.
    """
    found: list[int] = []
    for port in random.sample(_CANDIDATES, k=len(_CANDIDATES)):
        if is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"only {len(found)} ports of {_CANDIDATES.start} to {_CANDIDATES.stop - 1} are free, not {count}")


def free_port() -> int:
    """Return one port that is not in use now; see `free_ports`."""
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Say whether a server could listen on a port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
