"""The API as methods: one for each route, typed both ways.

async with Client("http://127.0.0.1:8080", tokens=…) as client:
    chat = await client.create_chat("dm", members=["…"])
    await client.send(chat.id, "hello")
    async with client.stream() as stream:
        async for signal in stream:
            …
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, Literal, Self, TypeVar
from urllib.parse import quote

import httpx2

from petit.client.calls import Answer, Call, Caller, Patience
from petit.client.clock import IdMaker, ServerClock
from petit.client.errors import Invalid
from petit.client.stream import Payload, Stream, Transport
from petit.client.tokens import Tokens
from petit.contracts.ids import Offset, Timestamp
from petit.contracts.problems import Code
from petit.contracts.resources import (
    Chat,
    History,
    JoinAnswer,
    Me,
    Member,
    Message,
    Page,
    Person,
    Resource,
    SeenBy,
    Sent,
    Ticket,
)
from petit.contracts.signals import Role

T = TypeVar("T")
R = TypeVar("R", bound=Resource)
Kind = Literal["dm", "group", "room"]
Anchor = Literal["before", "after", "around", "at"]
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
"""No proxy of the environment leads to this machine itself."""
_CLOCK_CORRECTIONS: Final = 2
_CONNECTIONS: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
"""Streams hold a connection each, so their number is not bounded here."""


class Client:
    """One person's way into a server.

    Args:
        base_url: The origin, as `http://127.0.0.1:8080`.
        tokens: Where access tokens come from.
        patience: How long calls wait and are tried again.
        clock: The server's time; ids are made from it.
        transport: What requests travel by, in place of the network: for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tokens: Tokens,
        patience: Patience | None = None,
        clock: ServerClock | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.clock = clock or ServerClock()
        self.new_id = IdMaker(self.clock)
        self.offset = Offset(0)
        """Where the latest of our own writes is stored: given as `min_offset`, a read shows it."""
        loopback = httpx2.URL(self.base_url).host in _LOOPBACK
        self.http = httpx2.AsyncClient(
            base_url=self.base_url,
            limits=_CONNECTIONS,
            trust_env=not loopback and transport is None,
            transport=transport,
        )
        self.caller = Caller(self.http, tokens=tokens, patience=patience or Patience())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self.http.aclose()

    # ── chats ────────────────────────────────────────────────────────────────────────────────────

    async def create_chat(
        self, kind: Kind, *, title: str | None = None, members: Sequence[str] = (), id: str | None = None
    ) -> Chat:
        """Create a chat; a dm that is there already is answered as it is.

        Raises:
            ApiProblem: the server refuses.
        """
        # A dm's id follows from its two members; the others' lets a retry find what the first attempt made.
        chat_id = id if id is not None or kind == "dm" else self.new_id()
        body = {"kind": kind, "title": title, "members": list(members) or None, "id": chat_id}
        return _read(Chat, await self._write(Call(method="POST", path="/v1/chats", body=body)))

    async def chats(self, *, cursor: str | None = None, limit: int = 50, min_offset: int | None = None) -> Page[Chat]:
        """Return one page of my chats, latest activity first.

        Raises:
            ApiProblem: the server refuses.
        """
        return await self._page(Chat, "/v1/chats", cursor=cursor, limit=limit, min_offset=min_offset)

    async def rooms(self, prefix: str = "", *, cursor: str | None = None, limit: int = 50) -> Page[Chat]:
        """Return one page of the rooms whose title begins like this, by title.

        Raises:
            ApiProblem: the server refuses.
        """
        return await self._page(Chat, "/v1/rooms", cursor=cursor, limit=limit, q=prefix or None)

    async def chat(self, chat: str, *, min_offset: int | None = None) -> Chat:
        """Return one chat.

        Raises:
            ApiProblem: the server refuses.
        """
        return _read(Chat, await self._get(f"/v1/chats/{_word(chat)}", min_offset=min_offset))

    async def update(self, chat: str, *, title: str | None = None, about: str | None = None) -> Chat:
        """Change a chat's title or description; None leaves it as it is.

        Raises:
            ApiProblem: the server refuses.
        """
        body = {"title": title, "about": about}
        return _read(Chat, await self._write(Call(method="PATCH", path=f"/v1/chats/{_word(chat)}", body=body)))

    async def join(self, chat: str) -> JoinAnswer:
        """Join a room; the answer has its last messages and the cursor where the stream goes on.

        Raises:
            ApiProblem: the server refuses.
        """
        path = f"/v1/chats/{_word(chat)}/join"
        return _read(JoinAnswer, await self._write(Call(method="POST", path=path, repeatable=False)))

    async def leave(self, chat: str) -> None:
        """Leave a chat.

        Raises:
            ApiProblem: the server refuses.
        """
        await self._write(Call(method="POST", path=f"/v1/chats/{_word(chat)}/leave", repeatable=False))

    # ── members ──────────────────────────────────────────────────────────────────────────────────

    async def members(
        self, chat: str, *, cursor: str | None = None, limit: int = 50, min_offset: int | None = None
    ) -> Page[Member]:
        """Return one page of a chat's members, longest-standing first.

        Raises:
            ApiProblem: the server refuses.
        """
        path = f"/v1/chats/{_word(chat)}/members"
        return await self._page(Member, path, cursor=cursor, limit=limit, min_offset=min_offset)

    async def invite(self, chat: str, user: str) -> Member:
        """Make somebody a member.

        Raises:
            ApiProblem: the server refuses.
        """
        path = f"/v1/chats/{_word(chat)}/members"
        return _read(Member, await self._write(Call(method="POST", path=path, body={"user": user}, repeatable=False)))

    async def remove(self, chat: str, user: str) -> None:
        """Remove a member.

        Raises:
            ApiProblem: the server refuses.
        """
        await self._write(
            Call(method="DELETE", path=f"/v1/chats/{_word(chat)}/members/{_word(user)}", repeatable=False)
        )

    async def set_role(self, chat: str, user: str, *, role: Role) -> Member:
        """Give a member a role.

        Raises:
            ApiProblem: the server refuses.
        """
        path = f"/v1/chats/{_word(chat)}/members/{_word(user)}"
        return _read(Member, await self._write(Call(method="PATCH", path=path, body={"role": role})))

    # ── messages ─────────────────────────────────────────────────────────────────────────────────

    async def send(
        self,
        chat: str,
        text: str,
        *,
        id: str | None = None,
        nonce: str | None = None,
        reply_to: str | None = None,
        mentions: Sequence[str] = (),
        patience_s: float | None = None,
    ) -> Sent:
        """Send a message; when this returns, it is stored, once, however often it had to be tried.

        Args:
            chat: Where.
            text: 1 to 8,000 characters.
            id: The message's id, where it was composed earlier; by default it is composed now.
            nonce: Our own mark, echoed on our own devices.
            reply_to: The message that this one answers.
            mentions: Users.
            patience_s: Seconds to go on trying; by default the client's patience.

        Raises:
            ApiProblem: the server refuses.
            Invalid: among them, a text that is too long.
            Unreachable: no answer in time. It may or may not be stored: send again with the same `id`.
        """
        path = f"/v1/chats/{_word(chat)}/messages"
        content = {"text": text, "nonce": nonce, "reply_to": reply_to, "mentions": list(mentions) or None}
        for _ in range(_CLOCK_CORRECTIONS):
            body = {"id": id or self.new_id(), **content}
            try:
                return _read(Sent, await self._write(Call(method="POST", path=path, body=body), total_s=patience_s))
            except Invalid as problem:
                # Refused, so not stored: with the clock put right, a new id is a first attempt.
                if id is not None or not self._learn(problem):
                    raise
        return _read(
            Sent,
            await self._write(
                Call(method="POST", path=path, body={"id": self.new_id(), **content}), total_s=patience_s
            ),
        )

    async def message(self, chat: str, message: str, *, min_offset: int | None = None) -> Message:
        """Return one message.

        Raises:
            ApiProblem: the server refuses.
        """
        path = f"/v1/chats/{_word(chat)}/messages/{_word(message)}"
        return _read(Message, await self._get(path, min_offset=min_offset))

    async def history(
        self,
        chat: str,
        *,
        anchor: Anchor | None = None,
        seq: int | None = None,
        limit: int = 50,
        min_offset: int | None = None,
    ) -> History:
        """Return a stretch of a chat: its newest messages, or those before, after, around or from a seq.

        Raises:
            ApiProblem: the server refuses.
        """
        where = {anchor: seq} if anchor is not None else {}
        path = f"/v1/chats/{_word(chat)}/messages"
        return _read(History, await self._get(path, limit=limit, min_offset=min_offset, **where))

    async def view(self, chat: str, seq: int) -> None:
        """Say that everything up to a message has been read.

        Raises:
            ApiProblem: the server refuses.
        """
        await self._write(Call(method="PUT", path=f"/v1/chats/{_word(chat)}/view", body={"seq": seq}))

    async def delivered(self, chat: str, seq: int) -> None:
        """Say that everything up to a message has reached this device.

        Raises:
            ApiProblem: the server refuses.
        """
        await self._write(Call(method="PUT", path=f"/v1/chats/{_word(chat)}/delivered", body={"seq": seq}))

    async def views(self, chat: str, message: str, *, cursor: str | None = None, limit: int = 50) -> Page[SeenBy]:
        """Return one page of who has seen a message.

        Raises:
            ApiProblem: the server refuses.
        """
        path = f"/v1/chats/{_word(chat)}/messages/{_word(message)}/views"
        return await self._page(SeenBy, path, cursor=cursor, limit=limit)

    # ── people and streams ───────────────────────────────────────────────────────────────────────

    async def me(self) -> Me:
        """Return myself.

        Raises:
            ApiProblem: the server refuses.
        """
        return _read(Me, await self._get("/v1/me"))

    async def users(self, prefix: str, *, cursor: str | None = None, limit: int = 50) -> Page[Person]:
        """Return one page of the people whose username begins like this.

        Raises:
            ApiProblem: the server refuses.
        """
        return await self._page(Person, "/v1/users", cursor=cursor, limit=limit, username=prefix)

    async def user(self, user: str) -> Person:
        """Return one person.

        Raises:
            ApiProblem: the server refuses.
        """
        return _read(Person, await self._get(f"/v1/users/{_word(user)}"))

    async def ticket(self) -> Ticket:
        """Return a word that opens one stream, once, where a header cannot be set.

        Raises:
            ApiProblem: the server refuses.
        """
        return _read(Ticket, await self._write(Call(method="POST", path="/v1/tickets", body={}, repeatable=False)))

    def stream(self, cursor: str | None = None, *, transport: Transport = "sse", payload: Payload = "full") -> Stream:
        """Return all that happens from the cursor on (None: from now on), as one stream that resumes by itself."""
        return Stream(self, cursor=cursor, transport=transport, payload=payload)

    # ── how ──────────────────────────────────────────────────────────────────────────────────────

    async def fetch(self, path: str, **params: str | int | None) -> Answer:
        """Read a path of the API and return the raw answer, with the offset that it reflects.

        Raises:
            ApiProblem: the server refuses.
        """
        return await self._get(path, **params)

    async def _get(self, path: str, **params: str | int | None) -> Answer:
        return await self.caller.call(Call(method="GET", path=path, params=params))

    async def _page(self, item: type[T], path: str, **params: str | int | None) -> Page[T]:
        return Page[item].model_validate_json((await self._get(path, **params)).content)  # type: ignore[valid-type]  # pydantic makes the class now

    async def _write(self, call: Call, *, total_s: float | None = None) -> Answer:
        answer = await self.caller.call(call, total_s=total_s)
        self.offset = max(self.offset, answer.offset)
        return answer

    def _learn(self, problem: Invalid) -> bool:
        server_time = (problem.problem.model_extra or {}).get("server_time")
        if problem.code is not Code.CLOCK_AHEAD or not isinstance(server_time, str):
            return False
        self.clock.learn(Timestamp(server_time))
        return True


async def every(page: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """Go through all pages of a list.

    Args:
        page: Asks for the page at a cursor, as `lambda cursor: client.chats(cursor=cursor)`.
    """
    cursor: str | None = None
    while True:
        answer = await page(cursor)
        for item in answer.items:
            yield item
        cursor = answer.next
        if cursor is None:
            return


def _read(model: type[R], answer: Answer) -> R:
    return model.model_validate_json(answer.content)


def _word(segment: str) -> str:
    return quote(segment, safe="")
