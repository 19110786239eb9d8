"""Creating a chat: a proposal as well, with ids that make a repeat, and two racing dms, one chat."""

from dataclasses import dataclass
from typing import Final

from petit.contracts.ids import ChatId, SignalId, UserId, dm_chat_id, timestamp
from petit.contracts.problems import Code, Refused, wrong
from petit.contracts.rpc import ChatAsk, Proposed
from petit.contracts.rules import VoidReason
from petit.contracts.signals import ChatCreated, ChatCreatedData
from petit.gateway.domain.bodies import CreateBody
from petit.gateway.domain.idtime import FRESH_MS, Ahead, judge
from petit.gateway.handlers.commands import Proposals, Written, void_problem
from petit.gateway.handlers.people import People
from petit.gateway.ports import Chats

_OF_A_DM: Final = "5"
"""The version of the ids that are made of a dm's members; nothing else may take one."""
_VERSION_AT: Final = 14
"""Where a UUID's text has its version."""


@dataclass(frozen=True, slots=True)
class Creation(Written):
    """A chat that is there."""

    repeated: bool
    """It was there before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Creating:
    """Creates chats."""

    proposals: Proposals
    chats: Chats
    people: People
    fresh_ms: int = FRESH_MS

    async def create(self, body: CreateBody, *, user: UserId) -> Creation:
        """Create a chat, once; a dm of the same two people is the same chat for both sides.

        Raises:
            Refused: `request.invalid`, `user.not_found`, `clock.ahead`, `chat.full`, or `conflict.state` where
                the id stands for something else.
            Unavailable: it is not known what became of it, or the directory does not answer.
        """
        others = sorted(set(body.members) - {user})
        self._check(body, others)
        await self.people.must_exist(others)
        signal = self._signal(body, others, user=user)
        proposed: Proposed = await self.proposals.decide(signal)
        there = proposed.void is VoidReason.CHAT_EXISTS and body.kind == "dm"
        if proposed.void is not None and not there:
            raise void_problem(proposed.void, chat=signal.chat, user=user)
        found = await self.chats.chat(ChatAsk(chat=signal.chat, viewer=user, min_offset=proposed.offset))
        return Creation(found.body, found.as_of, proposed.offset, there or proposed.repeated)

    def _check(self, body: CreateBody, others: list[UserId]) -> None:
        if body.kind == "dm" and (len(others) != 1 or len(body.members) != 1):
            raise wrong("/members", "a dm takes exactly one other member")
        if body.kind == "dm" and body.title is not None:
            raise wrong("/title", "a dm has no title")
        if body.id is None:
            return
        if body.kind != "dm" and body.id[_VERSION_AT] == _OF_A_DM:
            raise wrong("/id", "UUIDs of version 5 are those of dms: make one of version 7")
        now_ms = self.proposals.clock.now_ms()
        match judge(body.id, now_ms=now_ms, fresh_ms=self.fresh_ms):
            case Ahead(by_ms):
                raise Refused(
                    Code.CLOCK_AHEAD,
                    f"the time in id {body.id} is {by_ms} ms ahead of the server's",
                    extra={"server_time": timestamp(now_ms)},
                )
            case _:
                return

    def _signal(self, body: CreateBody, others: list[UserId], *, user: UserId) -> ChatCreated:
        if body.kind == "dm":
            chat = dm_chat_id(user, others[0])
            signal_id = body.id or SignalId(chat)
        else:
            signal_id = body.id or self.proposals.new_id()
            chat = ChatId(signal_id)
        return ChatCreated(
            id=signal_id,
            by=user,
            at=timestamp(self.proposals.clock.now_ms()),
            chat=chat,
            data=ChatCreatedData(kind=body.kind, title=body.title, members=(user, *others)),
        )
