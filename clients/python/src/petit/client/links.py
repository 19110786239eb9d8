"""One connection that carries a stream: opened, read to its end, closed. Over SSE here, over WebSocket in `sockets`.

What goes wrong is one of three things: a refusal (`ApiProblem`), a connection that ended (`Dropped`), or
silence, which is for the caller to time.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import httpx2

from petit.client import sse
from petit.client.calls import Call, Caller, problem_of
from petit.client.errors import ClientError
from petit.client.frames import Frame, FrameError, from_event
from petit.contracts.resources import Hello

OPEN_TIMEOUT_S: Final = 10.0
_BAD: Final = 400


class Dropped(ClientError):
    """The connection ended without a word of farewell, or never came to be.

    Args:
        why: What happened.
        code: The WebSocket close code; None where there was none.
    """

    def __init__(self, why: str, *, code: int | None = None) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What to ask of the server."""

    token: str
    cursor: str | None
    """Where to resume; None: from now on."""
    payload: str
    """`full` or `thin`."""

    def query(self) -> dict[str, str]:
        """Return the query parameters."""
        return {"payload": self.payload, **({"cursor": self.cursor} if self.cursor else {})}

    def headers(self) -> dict[str, str]:
        """Return the headers."""
        return {"Authorization": f"Bearer {self.token}"}


class Link(Protocol):
    """An open connection."""

    def frames(self) -> AsyncGenerator[Frame, None]:
        """Return the frames as they come; ends, or raises `Dropped`, when the connection does."""
        ...

    async def renew(self, hello: Hello, *, token: str) -> None:
        """Give the server a new token for this connection."""
        ...


class SseLink:
    """See `Link`."""

    def __init__(self, response: httpx2.Response, *, caller: Caller) -> None:
        self._response = response
        self._caller = caller

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """See `Link.frames`.

        Raises:
            Dropped: the connection ended, or carries something else.
        """
        parser = sse.Parser()
        try:
            async for chunk in self._response.aiter_raw():
                for event in parser.feed(chunk):
                    yield from_event(event.id, event=event.event, data=event.data)
        except (httpx2.TransportError, httpx2.StreamError, sse.LineTooLong, FrameError) as error:
            raise Dropped(f"the stream broke: {error!r}") from error

    async def renew(self, hello: Hello, *, token: str) -> None:
        """See `Link.renew`."""
        path = f"/v1/streams/{hello.connection}/token"
        await self._caller.call(Call(method="POST", path=path, body={"token": token}))


@asynccontextmanager
async def open_sse(http: httpx2.AsyncClient, *, opening: Opening, caller: Caller) -> AsyncIterator[Link]:
    """Open a stream over SSE.

    Raises:
        ApiProblem: the server refuses.
        Dropped: no connection.
    """
    request = http.build_request(
        "GET",
        "/v1/stream",
        params=opening.query(),
        headers={**opening.headers(), "Accept": "text/event-stream", "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(OPEN_TIMEOUT_S, read=None),
    )
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            response = await http.send(request, stream=True)
    except (httpx2.TransportError, TimeoutError) as error:
        raise Dropped(f"no stream: {error!r}") from error
    try:
        if response.status_code >= _BAD:
            refusal = problem_of(response.status_code, content=await response.aread(), headers=response.headers)
            raise refusal
        yield SseLink(response, caller=caller)
    finally:
        await response.aclose()
