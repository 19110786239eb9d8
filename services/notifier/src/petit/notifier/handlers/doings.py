"""Does what clients ask for on their WebSockets, in order per connection, many connections at once.

`auth` is answered here; the rest is sent to a gateway in batches, one handler for REST and sockets. While
something of a connection is out, what it asks next waits, so that its sends are stored in the order in
which they were written; whoever asks faster than we answer is read no further for a while.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from petit.contracts.ids import SignalId
from petit.contracts.problems import Code, Refused, wrong
from petit.contracts.rpc import Do
from petit.notifier.domain.asks import FORWARDED, Ask, token_in
from petit.notifier.domain.people import Seat
from petit.notifier.handlers.hub import Hub
from petit.notifier.ports import Gateway, Limits, Tokens

BATCH: Final = 512
"""Things in one request to a gateway."""
EACH: Final = 64
"""Things of one connection in one request."""
MOST: Final = 128
"""Things that may wait for a connection; then it is read no further until half of them are done."""


class Talker(Seat, Protocol):
    """A connection whose client asks for things."""

    def listen(self, *, on: bool) -> None:
        """Read on, or no further until told."""
        ...


@dataclass(slots=True)
class _Line:
    """What one connection waits for."""

    asks: deque[Ask] = field(default_factory=deque)
    busy: bool = False
    paused: bool = False


class Doings:
    """What clients asked for and was not answered yet.

    Args:
        new_id: Makes an id that was never made before: a gateway may hear twice of what was asked once.
        spawn: Starts a task that somebody supervises.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        gateway: Gateway,
        tokens: Tokens,
        limits: Limits,
        new_id: Callable[[], SignalId],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._hub = hub
        self._gateway = gateway
        self._tokens = tokens
        self._limits = limits
        self._new_id = new_id
        self._spawn = spawn
        self._lines: dict[Talker, _Line] = {}
        self._due: dict[Talker, _Line] = {}

    def take(self, talker: Talker, ask: Ask) -> None:
        """Do something, after everything that the same connection asked for before."""
        line = self._lines.get(talker)
        if line is None:
            line = self._lines[talker] = _Line()
        line.asks.append(ask)
        if len(line.asks) >= MOST and not line.paused:
            line.paused = True
            talker.listen(on=False)
        if not line.busy:
            self._advance(talker, line)

    def leave(self, talker: Talker) -> None:
        """Forget a connection; what is out is done, and nobody is told."""
        self._lines.pop(talker, None)
        self._due.pop(talker, None)

    def _advance(self, talker: Talker, line: _Line) -> None:
        """Go on with a connection of which nothing is out."""
        while line.asks and not line.busy:
            ask = line.asks[0]
            if ask.do in FORWARDED:
                if not self._due:
                    asyncio.get_running_loop().call_soon(self._send)
                self._due[talker] = line
                return
            line.asks.popleft()
            if ask.do == "auth":
                line.busy = True
                self._spawn(self._authenticate(talker, line, ask))
            else:
                known = ", ".join(sorted({*FORWARDED, "auth"}))
                self._refuse(talker, ask, wrong("/do", f"{ask.do[:32]!r} is none of {known}"))
        if line.paused and len(line.asks) <= MOST // 2:
            line.paused = False
            talker.listen(on=True)
        if not line.asks and not line.busy and self._lines.get(talker) is line:
            del self._lines[talker]

    def _send(self) -> None:
        due, self._due = self._due, {}
        batch: list[tuple[Talker, _Line, list[Ask]]] = []
        size = 0
        for talker, line in due.items():
            asks: list[Ask] = []
            while line.asks and len(asks) < EACH and line.asks[0].do in FORWARDED:
                asks.append(line.asks.popleft())
            line.busy = True
            batch.append((talker, line, asks))
            size += len(asks)
            if size >= BATCH:
                self._spawn(self._forward(batch))
                batch, size = [], 0
        if batch:
            self._spawn(self._forward(batch))

    async def _forward(self, batch: list[tuple[Talker, _Line, list[Ask]]]) -> None:
        items = tuple(
            Do.model_validate(
                {
                    "user": talker.user,
                    "session": talker.session or None,
                    "do": ask.do,
                    "text": ask.text,
                    "id": self._new_id() if ask.do == "send" else None,
                }
            )
            for talker, _, asks in batch
            for ask in asks
        )
        try:
            answers = list(await self._gateway.do(items))
        except Refused as error:
            for talker, _, asks in batch:
                for ask in asks:
                    self._refuse(talker, ask, error)
        else:
            answered = iter(answers)
            for talker, _, asks in batch:
                for ask in asks:
                    answer = next(answered)
                    self._reply(talker, ask, status=answer.status, body=answer.body)
        self._done(batch)

    def _done(self, batch: list[tuple[Talker, _Line, list[Ask]]]) -> None:
        for talker, line, _ in batch:
            line.busy = False
            if self._lines.get(talker) is line:
                self._advance(talker, line)

    async def _authenticate(self, talker: Talker, line: _Line, ask: Ask) -> None:
        try:
            self._limits.take("reads", talker.user).spend()
            token = token_in(ask.body())
            if token is None:
                raise wrong("/token", "the token must be text")
            principal = await self._tokens.verify(token.encode())
            if principal.user != talker.user:
                raise Refused(Code.TOKEN_INVALID, "the token is of somebody else")
            left = self._hub.renew(
                talker.connection, user=talker.user, session=principal.session, expires_at=principal.expires_at
            )
        except Refused as error:
            self._refuse(talker, ask, error)
        else:
            self._reply(talker, ask, status=200, body=f'{{"expires_in":{left}}}')
        self._done([(talker, line, [])])

    def _refuse(self, talker: Talker, ask: Ask, error: Refused) -> None:
        self._reply(talker, ask, status=error.status, body=error.problem().model_dump_json(exclude_none=True))

    def _reply(self, talker: Talker, ask: Ask, *, status: int, body: str | None) -> None:
        if talker in self._lines:
            self._hub.reply(talker, ref=ask.ref, status=status, body=body)
