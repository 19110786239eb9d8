"""The chat service's answers, over NATS. See `ports.Chats`."""

from collections.abc import Mapping, Sequence
from typing import Final

from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.rpc import (
    Backlog,
    BacklogAsk,
    Changed,
    ChangedAsk,
    Memberships,
    MembershipsAsk,
    PersonBacklogAsk,
)
from petit.contracts.subjects import chat_any, chat_owner, partition
from petit.kit.connection import Connection
from petit.kit.rpc import PATIENCE_S, ask

WITHIN_S: Final = 5.0
"""How long an answer may take."""


class NatsChats:
    """Asks the owners of partitions, and any replica. See `ports.Chats`."""

    def __init__(self, nc: Connection) -> None:
        self._nc = nc

    async def memberships(
        self, users: Sequence[UserId], *, min_offset: Offset
    ) -> Mapping[UserId, Mapping[ChatId, Offset]]:
        """See `Chats.memberships`."""
        request = MembershipsAsk(users=tuple(users), min_offset=min_offset)
        told, _ = await ask(self._nc, chat_any("memberships"), request, body=Memberships, within=WITHIN_S)
        return told.users

    async def changed(
        self, chats: Sequence[ChatId], *, after: Offset, min_offset: Offset
    ) -> tuple[frozenset[ChatId], Offset]:
        """See `Chats.changed`."""
        request = ChangedAsk(chats=tuple(chats), after=after, min_offset=min_offset)
        told, as_of = await ask(self._nc, chat_any("changed"), request, body=Changed, within=WITHIN_S)
        return frozenset(told.chats), as_of

    async def backlog(self, chat: ChatId, *, after: Offset, to: Offset) -> Backlog:
        """See `Chats.backlog`."""
        request = BacklogAsk(chat=chat, after=after, to=to, min_offset=to)
        subject = chat_owner(partition(chat), "backlog")
        told, _ = await ask(self._nc, subject, request, body=Backlog, within=WITHIN_S, patience=PATIENCE_S)
        return told

    async def person_backlog(self, user: UserId, *, after: Offset, to: Offset) -> Backlog:
        """See `Chats.person_backlog`."""
        request = PersonBacklogAsk(user=user, after=after, to=to, min_offset=to)
        told, _ = await ask(self._nc, chat_any("person_backlog"), request, body=Backlog, within=WITHIN_S)
        return told
