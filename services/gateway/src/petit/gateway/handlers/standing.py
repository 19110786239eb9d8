"""Who is in a chat: asked of the mirror, and of chat before anybody is turned away.

The mirror's answer is early politeness; the fold decides. So a yes is taken from it, a no never is.
"""

from dataclasses import dataclass

from petit.contracts.ids import ChatId, Offset, Seq, UserId
from petit.contracts.problems import Refused
from petit.contracts.rpc import ChatAsk
from petit.gateway.domain.refusals import alike, no_such_chat
from petit.gateway.ports import Chats, Feed, Log, Mirror


@dataclass(frozen=True, slots=True)
class Standing:
    """Answers who may write where."""

    mirror: Mirror
    chats: Chats
    feed: Feed
    log: Log

    def holds(self, chat: ChatId, user: UserId) -> bool:
        """Say whether the mirror knows that somebody is in a chat; False says nothing."""
        state = self.mirror.get(chat)
        return state is not None and user in state.members

    async def head(self, chat: ChatId, user: UserId, *, at_least: Seq) -> Seq:
        """Return the seq of the chat's newest message, asking chat where the mirror knows of none so far.

        Args:
            chat: The chat.
            user: Who wants to write there.
            at_least: Enough to know; a mirror that has seen so much is not doubted.

        Raises:
            Refused: `chat.not_found`: not a member, or no such chat.
            Unavailable: chat would have to be asked, and does not answer.
        """
        state = self.mirror.get(chat) or await self.mirror.load(chat)
        if user in state.members and state.head_seq >= at_least:
            return state.head_seq
        head = await self._ask(chat, user, min_offset=self.feed.position)
        if head < at_least:  # who was shown it by another replica is further than our feed
            head = await self._ask(chat, user, min_offset=await self.log.end())
        return head

    async def _ask(self, chat: ChatId, user: UserId, *, min_offset: int) -> Seq:
        try:
            found = await self.chats.chat(ChatAsk(chat=chat, viewer=user, min_offset=Offset(min_offset)))
        except Refused as refused:
            raise alike(refused, chat) from None
        if found.body.role is None:
            raise no_such_chat(chat)
        return found.body.head_seq

    async def admit(self, chat: ChatId, user: UserId) -> None:
        """Let members pass.

        Raises:
            Refused: `chat.not_found`: not a member, or no such chat.
            Unavailable: chat would have to be asked, and does not answer.
        """
        if not self.holds(chat, user):
            await self.head(chat, user, at_least=Seq(0))
