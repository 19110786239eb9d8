"""Delivered markers: best effort, never in the log; merged by maximum, and told to whoever listens."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from petit.chat.handlers.model import Model
from petit.chat.handlers.states import States
from petit.contracts.ids import ChatId, Seq, UserId
from petit.contracts.rpc import Answer, Delivered, DeliveredNote
from petit.contracts.subjects import partition

Announce = Callable[[DeliveredNote], Awaitable[None]]
Place = tuple[ChatId, UserId]
_KEPT: Final = 50_000


class Delivering:
    """Merges markers: what comes while a write is under way goes into the next one, together."""

    def __init__(self, model: Model, *, states: States, announce: Announce) -> None:
        self._model = model
        self._states = states
        self._announce = announce
        self._known: OrderedDict[Place, Seq] = OrderedDict()
        self._due: dict[Place, Seq] = {}
        self._turn = asyncio.Lock()

    async def deliver(self, ask: Delivered) -> Answer[dict[str, str]]:
        """Move markers of members forward, none beyond the newest message; strangers' are left out.

        Raises:
            Refused: `read.behind`.
            StoreDown: they are not kept; best effort.
            StoreBroken: they never will be.
        """
        as_of = await self._model.reach.ready(ask.min_offset, partition=partition(ask.chat))
        state = (await self._states.load([ask.chat]))[ask.chat].state
        for user, seq in ask.markers.items():
            place, reached = (ask.chat, user), Seq(min(seq, state.head_seq))
            if user in state.members and reached > max(self._known.get(place, 0), self._due.get(place, 0)):
                self._due[place] = reached
        if self._due:
            async with self._turn:  # whoever has it writes for all who wait for it
                await self._write()
        return Answer[dict[str, str]](as_of=as_of, body={})

    async def _write(self) -> None:
        due, self._due = self._due, {}
        if not due:
            return
        await self._model.repository.deliver(due)
        for place, seq in due.items():
            self._known[place] = seq
            self._known.move_to_end(place)
            await self._announce(DeliveredNote(chat=place[0], by=place[1], seq=seq))
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
