"""The one port that everybody knows: kept for us while processes come and go, and asked whether it is ready."""

import asyncio
import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from petit.cli.trouble import Trouble

HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 3.0
"""How long what was killed a moment ago may still hold the port."""
_RETRY_S: Final = 0.05
_ANSWER_S: Final = 5.0


@contextmanager
def reserved(port: int) -> Iterator[int]:
    """Hold a port (0: a free one) and yield it; only our own children can listen on it meanwhile.

    The children bind it too, with SO_REUSEPORT; a socket that does not listen takes no connection from them.

    Raises:
        Trouble: somebody else has the port.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with socket.socket() as probe:  # without SO_REUSEPORT: it sees listeners that have it, too
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
                port = probe.getsockname()[1]
            break
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(_RETRY_S)
                continue
            raise _trouble(port, error) from error
        except OverflowError:
            raise Trouble(f"{port} is not a port: choose one from 1 to 65535 with --port") from None
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind((HOST, port))
        except OSError as error:
            raise _trouble(port, error) from error
        yield port


async def answers_ready(port: int) -> bool:
    """Say whether `GET /readyz` answers 200."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nConnection: close\r\n\r\n")
                return (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return False


def _trouble(port: int, error: OSError) -> Trouble:
    if error.errno == errno.EADDRINUSE:
        return Trouble(
            f"port {port} is taken by another program: stop it (`ss -ltnp 'sport = :{port}'` shows which), "
            "or choose another with --port; --port 0 takes a free one"
        )
    return Trouble(f"port {port} cannot be used ({error.strerror}): choose another with --port")
