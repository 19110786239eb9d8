"""Everything that happens, as one stream that resumes by itself.

A connection ends for many reasons: the network, a restarted server, an expired token, a reader that was
too slow. The stream comes back with the cursor of the last frame that it handed out, so that what
follows has neither gap nor duplicate, whatever transport and server it finds.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from petit.client.calls import pause_s
from petit.client.errors import (
    ApiProblem,
    ClientError,
    RateLimited,
    StreamEnded,
    Unauthenticated,
    Unavailable,
    Unreachable,
    from_problem,
)
from petit.client.frames import Frame, Reply
from petit.client.gaps import messages_of
from petit.client.links import Dropped, Link, Opening, open_sse
from petit.contracts.ids import ChatId, Offset
from petit.contracts.problems import Code, Refused
from petit.contracts.resources import Bye, Expiring, Gap, Hello, SignalFrame

if TYPE_CHECKING:
    from petit.client.client import Client

Transport = Literal["sse", "ws"]
Payload = Literal["full", "thin"]

SILENCE: Final = 2.5
"""Heartbeats that may fail to come before a connection counts as dead."""
UNKNOWN_HEARTBEAT_S: Final = 10.0
"""Until `hello` says how often they come: how long to wait for it is this times `SILENCE`."""
LEAVING_S: Final = 5.0
RENEWAL_TIMEOUT_S: Final = 10.0
_TOKEN_TRIES: Final = 2
_BYE_TOKEN: Final = frozenset({4401, 4409})
_BYE_GONE: Final = 4410
_BYE_FINAL: Final = frozenset({4400, 4403, 4413})


class Stream:
    """One device's stream; enter it, then iterate over it.

    Entering waits for the server's `hello`: what happens after that is in the stream. It is for one reader.
    """

    def __init__(self, client: "Client", *, cursor: str | None, transport: Transport, payload: Payload) -> None:
        self._client = client
        self._transport = transport
        self._payload = payload
        self._frames: AsyncGenerator[Frame, None] | None = None
        self._reading = asyncio.Lock()
        self._token: str | None = None
        self._filled: dict[ChatId, Offset] = {}
        self.cursor = cursor
        """Where to resume: the id of the last frame that was handed out. None before the first `hello`."""
        self.hello: Hello | None = None
        """The greeting of the present connection, or of the last one."""
        self.reconnects = 0
        """How often the connection was lost and made again."""

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            ApiProblem: the server refuses.
            Unreachable: no connection within the client's patience.
        """
        self._frames = self._all_frames()
        try:
            async with asyncio.timeout(self._client.caller.patience.total_s):
                await anext(self._frames)
        except TimeoutError:
            await self._frames.aclose()
            raise Unreachable(f"no stream from {self._client.base_url}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._frames is None:
            return
        # A task that iterates, and was cancelled just now, is on its way out.
        async with asyncio.timeout(LEAVING_S), self._reading:
            await self._frames.aclose()

    async def __aiter__(self) -> AsyncIterator[SignalFrame]:
        """Go through the signals, in order within each chat; messages of a gap are paged and come as signals too.

        Raises:
            ClientError: as `frames`.
        """
        async for frame in self.frames():
            match frame.data:
                case SignalFrame() as signal:
                    yield signal
                case Gap() as gap:
                    async for signal in self._fill(gap):
                        yield signal
                case _:
                    pass

    async def frames(self) -> AsyncIterator[Frame]:
        """Go through all frames as the server sent them, gaps included; each connection begins with its `hello`.

        The first connection's `hello` was read on entering. Ends only by an exception.

        Raises:
            ApiProblem: the server refuses; `CursorExpired` asks for a new beginning.
            LoginRefused: there is no token any more.
            StreamEnded: the server closed the stream for good.
            RuntimeError: the stream was not entered.
        """
        if self._frames is None:
            raise RuntimeError("a stream is entered first: `async with client.stream() as stream`")
        while True:
            async with self._reading:
                try:
                    frame = await anext(self._frames)
                except StopAsyncIteration:  # the stream was left meanwhile
                    return
            yield frame

    # ── connections, one after another ───────────────────────────────────────────────────────────

    async def _all_frames(self) -> AsyncGenerator[Frame, None]:
        failures = refused_tokens = 0
        while True:
            hint = None
            try:
                async with aclosing(self._one_connection()) as frames:
                    async for frame in frames:
                        if isinstance(frame.data, Hello):
                            failures = refused_tokens = 0
                        yield frame
            except Unauthenticated:
                refused_tokens += 1
                if refused_tokens >= _TOKEN_TRIES:
                    raise
                await self._new_token()
            except (RateLimited, Unavailable) as problem:
                hint = problem.retry_after
            except (Dropped, Unreachable):
                pass
            await asyncio.sleep(pause_s(failures, hint=hint))
            failures += 1
            self.reconnects += 1

    async def _one_connection(self) -> AsyncGenerator[Frame, None]:
        self._token = self._token or await self._client.caller.token()
        async with self._open(self._token) as link, aclosing(link.frames()) as frames:
            silence_s = UNKNOWN_HEARTBEAT_S * SILENCE
            while True:
                frame = await _next_within(frames, silence_s)
                match frame.data:
                    case Hello() as hello:
                        self.hello = hello
                        self._client.clock.learn(hello.server_time)
                        silence_s = hello.heartbeat_s * SILENCE
                    case Expiring():
                        await self._renew(link)
                    case Bye() as bye:
                        await self._farewell(bye.code, resume=bye.resume)
                    case Reply():
                        continue
                    case _:
                        pass
                self.cursor = frame.id or self.cursor
                yield frame

    def _open(self, token: str) -> AbstractAsyncContextManager[Link]:
        opening = Opening(token=token, cursor=self.cursor, payload=self._payload)
        if self._transport == "ws":
            from petit.client.sockets import open_socket  # noqa: PLC0415 - see there

            return open_socket(self._client.base_url, opening=opening)
        return open_sse(self._client.http, opening=opening, caller=self._client.caller)

    async def _farewell(self, code: int, *, resume: bool) -> None:
        if code == _BYE_GONE:
            raise _expired()
        if code in _BYE_TOKEN:
            await self._new_token()
        elif code in _BYE_FINAL or not resume:
            raise StreamEnded(code)
        raise Dropped(f"the server said bye with code {code}", code=code)

    # ── tokens ───────────────────────────────────────────────────────────────────────────────────

    async def _new_token(self) -> None:
        self._token = await self._client.caller.token(stale=self._token)

    async def _renew(self, link: Link) -> None:
        """Renew the token in place; where that fails, the server says bye in time and we come back with a new one."""
        if self.hello is None:
            return
        try:
            async with asyncio.timeout(RENEWAL_TIMEOUT_S):
                await self._new_token()
                await link.renew(self.hello, token=self._token or "")
        except (ApiProblem, Dropped, Unreachable, TimeoutError):
            return

    # ── gaps ─────────────────────────────────────────────────────────────────────────────────────

    async def _fill(self, gap: Gap) -> AsyncIterator[SignalFrame]:
        # A connection that breaks while a gap is filled resumes before it: what was handed out is not again.
        after = max(gap.after_offset, self._filled.get(gap.chat, Offset(0)))
        async for signal in messages_of(self._client, gap=gap, after=after):
            self._filled[gap.chat] = signal.offset
            yield signal


async def _next_within(frames: AsyncIterator[Frame], seconds: float) -> Frame:
    try:
        async with asyncio.timeout(seconds):
            return await anext(frames)
    except TimeoutError:
        raise Dropped(f"silent for {seconds} s") from None
    except StopAsyncIteration:
        raise Dropped("the stream ended") from None


def _expired() -> ClientError:
    return from_problem(Refused(Code.CURSOR_EXPIRED, "the stream said that its cursor is gone").problem())
