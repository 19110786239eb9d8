"""A stream over a WebSocket. See `links`.

A module of its own, because importing websockets takes time that a short command over SSE need not spend.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from petit.client.calls import problem_of
from petit.client.frames import Frame, FrameError, from_socket
from petit.client.links import OPEN_TIMEOUT_S, Dropped, Link, Opening
from petit.contracts.resources import Hello

SUBPROTOCOL: Final = "petit.v1"
_FRAME_BYTES: Final = 16 * 1024 * 1024


class SocketLink:
    """See `Link`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """See `Link.frames`.

        Raises:
            Dropped: the connection ended, or carries something else.
        """
        try:
            async for text in self._socket:
                yield from_socket(text)
        except FrameError as error:
            raise Dropped(str(error)) from error
        except ConnectionClosed as error:
            raise Dropped(f"the socket closed: {error}", code=error.rcvd.code if error.rcvd else None) from error
        raise Dropped("the socket closed", code=self._socket.close_code)

    async def renew(self, hello: Hello, *, token: str) -> None:
        """See `Link.renew`.

        Raises:
            Dropped: the connection ended meanwhile.
        """
        await self.write({"do": "auth", "token": token})

    async def write(self, frame: dict[str, object]) -> None:
        """Send one frame.

        Raises:
            Dropped: the connection ended meanwhile.
        """
        try:
            await self._socket.send(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))
        except ConnectionClosed as error:
            raise Dropped(f"the socket closed: {error}") from error


@asynccontextmanager
async def open_socket(base_url: str, *, opening: Opening) -> AsyncIterator[Link]:
    """Open a stream over a WebSocket.

    Raises:
        ApiProblem: the server refuses.
        Dropped: no connection.
    """
    url = f"ws{base_url.removeprefix('http')}/v1/ws?{urlencode(opening.query())}"
    try:
        socket = await connect(
            url,
            additional_headers=opening.headers(),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=1,
            ping_interval=None,  # the stream has its own heartbeat
            max_size=_FRAME_BYTES,
        )
    except InvalidStatus as error:
        answer = error.response
        refusal = problem_of(answer.status_code, content=bytes(answer.body), headers=answer.headers)
        raise refusal from None
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise Dropped(f"no socket: {error!r}") from error
    try:
        yield SocketLink(socket)
    finally:
        await socket.close()
