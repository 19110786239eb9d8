"""Commands about chats and members: proposals whose answer is the fold's verdict.

Each builds one signal and has the chat's owner store it and judge it at its place in the log. What is
plainly wrong is refused by the owner before it is stored; who is allowed what is decided there, never here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypedDict

from petit.contracts.cursor import Cursor
from petit.contracts.ids import ChatId, Epoch, Offset, SignalId, Timestamp, UserId, timestamp
from petit.contracts.problems import Code, Refused, Unavailable, wrong
from petit.contracts.resources import Chat, JoinAnswer, Member
from petit.contracts.rpc import ChatAsk, HistoryAsk, Propose, Proposed
from petit.contracts.rules import PROBLEM, VoidReason
from petit.contracts.signals import (
    ChatSignal,
    ChatUpdated,
    ChatUpdatedData,
    Joined,
    JoinedData,
    Left,
    LeftData,
    Role,
    RoleChanged,
    RoleData,
)
from petit.gateway.domain.bodies import UpdateBody
from petit.gateway.domain.refusals import no_such_chat
from petit.gateway.handlers.people import People
from petit.gateway.ports import Chats, Clock, Feed, Found, Mirror

_RECENT: Final = 50
"""Messages that a join answers with."""
_WAIT_S: Final = 2.0
"""Seconds that a read waits for what was just written."""


class _Envelope(TypedDict):
    id: SignalId
    by: UserId
    at: Timestamp
    chat: ChatId


@dataclass(frozen=True, slots=True)
class Written(Found[Chat]):
    """A chat as a command left it."""

    offset: Offset
    """Where the command is stored, or later."""


@dataclass(frozen=True, slots=True)
class Joins(Found[JoinAnswer]):
    """A chat as a join found it."""

    offset: Offset
    """Where the join is stored, or later."""


def void_problem(reason: VoidReason, *, chat: ChatId, user: UserId) -> Refused:
    """Return how a caller is told that a proposal is void.

    Args:
        reason: The rule that was broken.
        chat: Where.
        user: Whom the proposal was about.
    """
    code = PROBLEM[reason]
    if code is Code.CHAT_NOT_FOUND:
        return no_such_chat(chat)
    details = {
        Code.USER_NOT_FOUND: f"{user} is not a member of chat {chat}",
        Code.CHAT_FULL: f"chat {chat} is full",
        Code.ROLE_REQUIRED: f"your role in chat {chat} does not allow this",
    }
    return Refused(code, details.get(code, f"chat {chat} does not allow this: {reason}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """Has signals of the member family decided."""

    chats: Chats
    feed: Feed
    clock: Clock
    new_id: Callable[[], SignalId]

    async def decide(self, signal: ChatSignal) -> Proposed:
        """Return the fold's verdict on a signal; trying again with its id gets the same one.

        Raises:
            Refused: what the owner saw coming.
            Unavailable: it is not known what became of it.
        """
        ask = Propose(signal=signal, min_offset=Offset(self.feed.position))
        return (await self.chats.propose(ask)).body


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Changes chats and their members. Every method raises what the verdict says, as `void_problem` spells it."""

    proposals: Proposals
    chats: Chats
    mirror: Mirror
    people: People

    async def update(self, chat: ChatId, body: UpdateBody, *, user: UserId) -> Written:
        """Change a chat's title or description.

        Raises:
            Refused: not a member, a dm, a role is required, or there is nothing to change.
            Unavailable: it is not known what became of it.
        """
        if not body.model_fields_set:
            raise wrong("", "nothing to change: give a title or an about")
        data = ChatUpdatedData(**{name: getattr(body, name) for name in sorted(body.model_fields_set)})
        offset = await self._hold(ChatUpdated(**self._envelope(chat, user), data=data), about=user)
        found = await self.chats.chat(ChatAsk(chat=chat, viewer=user, min_offset=offset))
        return Written(found.body, found.as_of, offset)

    async def join(self, chat: ChatId, *, user: UserId) -> Joins:
        """Enter a room; who is in it already gets the same answer.

        The history is read at or after the join, and the cursor is the offset that the read surely reflects. What
        it shows beyond that is left out: the stream from the cursor brings it, so that the two meet without a gap
        and without an overlap.

        Raises:
            Refused: no room that anyone may join, full, or a dm.
            Unavailable: it is not known what became of it.
        """
        signal = Joined(**self._envelope(chat, user), data=JoinedData(user=user, how="join"))
        proposed = await self.proposals.decide(signal)
        if proposed.void not in {None, VoidReason.ALREADY_MEMBER}:
            raise void_problem(proposed.void, chat=chat, user=user)
        asked = proposed.offset
        history = await self.chats.history(HistoryAsk(chat=chat, viewer=user, limit=2 * _RECENT, min_offset=asked))
        found = await self.chats.chat(ChatAsk(chat=chat, viewer=user, min_offset=history.as_of))
        cursor = Cursor(Epoch(self.proposals.feed.epoch), history.as_of)
        recent = tuple(message for message in history.body.items if message.offset <= history.as_of)[-_RECENT:]
        answer = JoinAnswer(chat=found.body, recent=recent, cursor=str(cursor))
        return Joins(answer, history.as_of, asked)

    async def leave(self, chat: ChatId, *, user: UserId) -> Offset:
        """Leave a chat.

        Raises:
            Refused: not a member, or a dm.
            Unavailable: it is not known what became of it.
        """
        return await self._hold(
            Left(**self._envelope(chat, user), data=LeftData(user=user, how="leave")),
            about=user,
        )

    async def invite(self, chat: ChatId, target: UserId, *, user: UserId) -> tuple[Member, Offset]:
        """Make somebody a member.

        Raises:
            Refused: `user.not_found`, not a member, a dm, full, or a member already.
            Unavailable: it is not known what became of it, or the directory does not answer.
        """
        await self.people.must_exist([target])
        signal = Joined(**self._envelope(chat, user), data=JoinedData(user=target, how="invite"))
        offset = await self._hold(signal, about=target)
        return Member(user=target, role="member", joined_at=signal.at), offset

    async def remove(self, chat: ChatId, target: UserId, *, user: UserId) -> Offset:
        """Take somebody out of a chat; oneself is leaving.

        Raises:
            Refused: `user.not_found`, not a member, a dm, or a role is required.
            Unavailable: it is not known what became of it.
        """
        if target == user:
            return await self.leave(chat, user=user)
        signal = Left(**self._envelope(chat, user), data=LeftData(user=target, how="removed"))
        return await self._hold(signal, about=target)

    async def set_role(self, chat: ChatId, target: UserId, *, role: Role, user: UserId) -> tuple[Member, Offset]:
        """Give a member another role.

        Raises:
            Refused: `user.not_found`, not a member, a dm, the last owner, or a role is required.
            Unavailable: it is not known what became of it.
        """
        signal = RoleChanged(**self._envelope(chat, user), data=RoleData(user=target, role=role))
        offset = await self._hold(signal, about=target)
        if not await self.proposals.feed.wait_for(offset, within=_WAIT_S):
            raise Unavailable(f"offset {offset} was decided, and has not been delivered here yet")
        state = self.mirror.get(chat) or await self.mirror.load(chat)
        if target not in state.members:
            raise void_problem(VoidReason.NO_SUCH_MEMBER, chat=chat, user=target)
        return Member(user=target, role=role, joined_at=state.members[target].joined_at), offset

    async def _hold(self, signal: ChatSignal, *, about: UserId) -> Offset:
        proposed = await self.proposals.decide(signal)
        if proposed.void is not None:
            raise void_problem(proposed.void, chat=signal.chat, user=about)
        return proposed.offset

    def _envelope(self, chat: ChatId, user: UserId) -> _Envelope:
        at = timestamp(self.proposals.clock.now_ms())
        return {"id": self.proposals.new_id(), "by": user, "at": at, "chat": chat}
