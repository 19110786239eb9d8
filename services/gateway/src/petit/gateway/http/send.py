"""`POST /v1/chats/{chat}/messages`, without FastAPI: the one route whose cost everybody pays.

It does what the other routes do, in the same order and with the same parts: token, limit, path, query,
body, handler. What it saves is the framework's way there, more than half of a send's time.
"""

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from starlette.types import Receive

from petit.contracts.ids import ChatId, is_uuid
from petit.gateway.domain.bodies import SendBody
from petit.gateway.domain.refusals import invalid_body, no_such_chat
from petit.gateway.handlers.sending import Sending
from petit.gateway.http.exchange import Door, Exchange, Reply, read_body
from petit.kit.queries import read_query

_PREFIX: Final = "/v1/chats/"
_SUFFIX: Final = "/messages"
_CREATED: Final = 201
_OK: Final = 200
_HEADERS: Final = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


def chat_in(path: str) -> str | None:
    """Return what stands for the chat in the path of this route; None for any other path."""
    if not path.endswith(_SUFFIX) or not path.startswith(_PREFIX):
        return None
    chat = path[len(_PREFIX) : -len(_SUFFIX)]
    return chat if chat and "/" not in chat else None


@dataclass(frozen=True, slots=True)
class SendRoute:
    """Answers sends."""

    door: Door
    sending: Sending

    async def answer(self, chat: str, exchange: Exchange, *, query: bytes, receive: Receive) -> Reply:
        """Store the message in the body of a request.

        Raises:
            Refused: as `Sending.send`, or a token, limit, query or body that will not do.
            Unavailable: as `Sending.send`.
            ClientDisconnect: nobody waits for the answer any more.
        """
        principal = await self.door.admit(exchange, "writes")
        if query:
            read_query(query, known=())
        if not is_uuid(chat):
            raise no_such_chat(chat)
        raw = await read_body(exchange, receive)
        try:
            body = SendBody.model_validate_json(raw)
        except ValidationError as error:
            raise invalid_body(error) from None
        outcome = await self.sending.send(ChatId(chat), body, user=principal.user)
        sent = outcome.sent
        headers = [*_HEADERS, (b"petit-offset", b"%d" % sent.offset)]
        content = sent.__pydantic_serializer__.to_json(sent)
        return Reply(_OK if outcome.repeated else _CREATED, headers, content)
