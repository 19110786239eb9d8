"""Sending a message: storing it is publishing it, and a repeat is the same message, whenever it comes.

The id's own time decides who knows of earlier attempts (`domain.idtime`): the log's dedupe window, or chat.
What the log calls a duplicate may be the same message or another one under the same id; the stored signal
tells which. It may also be an earlier attempt of this very append, whose answer was lost: nothing tells that
from a repeat of the client's, so it is answered as one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, assert_never

from petit.contracts.ids import ChatId, Offset, SignalId, Timestamp, UserId, timestamp
from petit.contracts.problems import Code, Refused, Unavailable, wrong
from petit.contracts.resources import Sent
from petit.contracts.rpc import SentAsk, SentBefore
from petit.contracts.signals import Msg, MsgData, decode, digest, encode
from petit.contracts.subjects import chat_signal
from petit.gateway.domain.bodies import SendBody
from petit.gateway.domain.idtime import FRESH_MS, Ahead, Fresh, Old, judge, key_of
from petit.gateway.handlers.standing import Standing
from petit.gateway.ports import Chats, Clock, Feed, Log

_spelled = lru_cache(maxsize=8)(timestamp)  # many sends of one batch have one time
MAX_LAG_S: Final = 5.0
"""A feed that lags more says nothing of what was sent before the dedupe window."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """A message that is stored."""

    sent: Sent
    repeated: bool
    """It was stored before; `sent` is the first's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """Stores messages."""

    log: Log
    chats: Chats
    feed: Feed
    standing: Standing
    clock: Clock
    new_id: Callable[[], SignalId]
    fresh_ms: int = FRESH_MS

    async def send(
        self,
        chat: ChatId,
        body: SendBody,
        *,
        user: UserId,
        spare: SignalId | None = None,
        on_append: Callable[[], None] | None = None,
    ) -> SendOutcome:
        """Store a message, once.

        Args:
            spare: A new id, for a message that names neither id nor nonce; None: one is made.
            on_append: Called when it goes to the log: what goes there later is stored behind it.

        Raises:
            Refused: `chat.not_found`, `file.not_found`, `request.invalid` without text, `clock.ahead`, or
                `conflict.state` where the id stands for something else.
            Unavailable: it is not known to be stored; the same id may be tried again.
        """
        if not body.text and not body.files:
            raise wrong("/text", "1 to 8000 characters unless there are files")
        if not self.standing.holds(chat, user):
            await self.standing.admit(chat, user)
        if body.files:
            raise Refused(Code.FILE_NOT_FOUND, f"there is no file {body.files[0]}")
        key = key_of(body.id, body.nonce, user=user)
        now_ms = self.clock.now_ms()
        if key is None:
            msg = _msg(chat, body, user=user, signal_id=spare or self.new_id(), now_ms=now_ms)
            stored = await self._store(msg, on_append=on_append)
            return SendOutcome(stored.sent, repeated=False)  # no client can repeat what it did not name
        decision = judge(key, now_ms=now_ms, fresh_ms=self.fresh_ms)
        msg = _msg(chat, body, user=user, signal_id=key, now_ms=now_ms)
        match decision:
            case Fresh():
                return await self._store(msg, on_append=on_append)
            case Old():
                if self.feed.lag_s > MAX_LAG_S:
                    raise Unavailable(f"whether {key} was sent before is not known: the feed lags")
                before = await self._before(msg, min_offset=Offset(self.feed.position))
                return await self._store(msg, on_append=on_append) if before is None else before
            case Ahead(by_ms):
                raise Refused(
                    Code.CLOCK_AHEAD,
                    f"the time in id {key} is {by_ms} ms ahead of the server's",
                    extra={"server_time": timestamp(now_ms)},
                )
            case _:
                assert_never(decision)

    async def _store(self, msg: Msg, *, on_append: Callable[[], None] | None) -> SendOutcome:
        if on_append is not None:
            on_append()
        stored = await self.log.append(chat_signal(msg.chat, "msg"), encode(msg), msg_id=f"{msg.by}:{msg.id}")
        offset = Offset(stored.offset)
        if not stored.duplicate:
            return SendOutcome(_sent(msg, at=msg.at, offset=offset), repeated=False)
        entry = await self.log.read(offset)
        if entry is None:  # erased meanwhile: chat knows it for ever
            before = await self._before(msg, min_offset=offset)
            if before is None:
                raise Unavailable(f"message {msg.id} is stored at offset {offset}, which cannot be read now")
            return before
        first = decode(entry.payload)
        _same(msg, digest(first))
        return SendOutcome(_sent(msg, at=first.at, offset=offset), repeated=True)

    async def _before(self, msg: Msg, *, min_offset: Offset) -> SendOutcome | None:
        found = await self.chats.sent(SentAsk(user=msg.by, id=msg.id, min_offset=min_offset))
        before: SentBefore = found.body
        if not before.found:
            return None
        _same(msg, before.digest)
        return SendOutcome(_sent(msg, at=before.at, offset=before.offset), repeated=True)


def _msg(chat: ChatId, body: SendBody, *, user: UserId, signal_id: SignalId, now_ms: int) -> Msg:
    data = MsgData(text=body.text, reply_to=body.reply_to, mentions=tuple(body.mentions))
    return Msg(id=signal_id, by=user, at=_spelled(now_ms), nonce=body.nonce, chat=chat, data=data)


def _sent(msg: Msg, *, at: Timestamp, offset: Offset) -> Sent:
    return Sent(id=msg.id, chat=msg.chat, by=msg.by, at=at, offset=offset, nonce=msg.nonce)


def _same(msg: Msg, first_digest: str) -> None:
    if digest(msg) != first_digest:
        raise Refused(Code.CONFLICT_STATE, f"id {msg.id} stands for something else that you sent before")
