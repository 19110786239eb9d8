"""The public API for what surrounds a measurement: log-ins, rooms, pages. Retries what is asked to be retried."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from petit.cli.load.link import LOST, Link
from petit.cli.load.plan import Address

_TRIES: Final = 200
_RETRY_S: Final = 0.25
_ANSWER_S: Final = 30.0
_LATER: Final = frozenset({LOST, 425, 429, 503})


class ApiRefused(Exception):
    """The server answered with a status that retrying does not change."""

    def __init__(self, status: int, *, method: str, path: str, body: bytes) -> None:
        super().__init__(f"{method} {path} answered {status}: {body[:300].decode(errors='replace')}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of the API."""

    status: int
    head: bytes
    """The response head, in lower case."""
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - the wire is untyped here; callers pick what they need
        """Decode the body."""
        return json.loads(self.body)

    @property
    def retry_after(self) -> float:
        """Seconds to wait before asking again."""
        found = self.head.partition(b"\r\nretry-after:")[2].partition(b"\r")[0].strip()
        return float(found) if found.isdigit() else _RETRY_S


class Api:
    """A few connections to one server, each asking one thing at a time."""

    def __init__(self, address: Address, *, connections: int) -> None:
        self._address = address
        self._idle: asyncio.LifoQueue[Link | None] = asyncio.LifoQueue()
        for _ in range(connections):
            self._idle.put_nowait(None)

    async def ask(
        self, method: str, path: str, *, token: str = "", body: object = None, allow: tuple[int, ...] = ()
    ) -> Reply:
        """Ask one thing, again while the server says later.

        Args:
            method: of HTTP.
            path: with its query.
            token: an access token, if the route wants one.
            body: sent as JSON; a mapping of text for the issuer's routes is sent as a form.
            allow: statuses beside 2xx that are an answer.

        Raises:
            ApiRefused: the status is another.
        """
        kind, content = _encode(path, body)
        request = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._address}\r\nContent-Length: {len(content)}\r\n"
            f"{kind}{f'Authorization: Bearer {token}' + chr(13) + chr(10) if token else ''}\r\n"
        ).encode("ascii") + content
        reply = Reply(status=LOST, head=b"", body=b"")
        for _ in range(_TRIES):
            reply = await self._once(request)
            if reply.status not in _LATER:
                break
            await asyncio.sleep(reply.retry_after)
        if reply.status // 100 != 2 and reply.status not in allow:  # noqa: PLR2004 - the class of success
            raise ApiRefused(reply.status, method=method, path=path, body=reply.body)
        return reply

    async def _once(self, request: bytes) -> Reply:
        link = await self._idle.get()
        try:
            if link is None or link.lost:
                link = await Link.open(self._address)
            answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

            def done(status: int, head: bytes, body: bytes) -> None:
                if not answered.done():
                    answered.set_result(Reply(status=status, head=head, body=body))

            link.ask(request, done=done)
            async with asyncio.timeout(_ANSWER_S):
                return await answered
        except TimeoutError:
            if link is not None:
                link.close()
            link = None
            return Reply(status=LOST, head=b"", body=b"")
        finally:
            self._idle.put_nowait(link)

    def close(self) -> None:
        """End every idle connection."""
        while not self._idle.empty():
            link = self._idle.get_nowait()
            if link is not None:
                link.close()


def _encode(path: str, body: object) -> tuple[str, bytes]:
    if body is None:
        return "", b""
    if path.startswith("/realms/") and isinstance(body, dict):
        return "Content-Type: application/x-www-form-urlencoded\r\n", urlencode(body).encode("ascii")
    return "Content-Type: application/json\r\n", json.dumps(body, separators=(",", ":")).encode()


@asynccontextmanager
async def api(address: Address, *, connections: int = 16) -> AsyncIterator[Api]:
    """Open the way to a server, and close it on the way out."""
    opened = Api(address, connections=connections)
    try:
        yield opened
    finally:
        opened.close()
