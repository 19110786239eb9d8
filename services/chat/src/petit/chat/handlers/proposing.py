"""Commands: a proposal is judged, stored, and answered with what the fold made of it at its place in the log."""

from typing import Final

from petit.chat.domain.rows import SignalRow
from petit.chat.handlers.folding import Folding
from petit.chat.handlers.reach import Reach
from petit.chat.handlers.states import States
from petit.chat.ports import Repository
from petit.contracts import rules
from petit.contracts.ids import Offset
from petit.contracts.problems import Code, Refused, Unavailable
from petit.contracts.rpc import Answer, Propose, Proposed
from petit.contracts.rules import VoidReason
from petit.contracts.signals import ChatCreated, ChatUpdated, Joined, Left, RoleChanged, decode, digest, encode
from petit.contracts.subjects import chat_signal, partition
from petit.kit.log import Log

VERDICT_S: Final = 5.0
"""How long a proposal that is stored waits for the fold."""
SETTLE_S: Final = 2.0
"""How long a proposal waits for a partition that just changed hands."""
Command = ChatCreated | ChatUpdated | Joined | Left | RoleChanged


class Proposing:
    """Decides proposals about chats whose partitions this replica folds.

    Nothing is locked: order in the log decides between proposals that cross.
    """

    def __init__(self, repository: Repository, *, log: Log, folding: Folding, states: States, reach: Reach) -> None:
        self._repository = repository
        self._log = log
        self._folding = folding
        self._states = states
        self._reach = reach

    async def propose(self, ask: Propose) -> Answer[Proposed]:
        """Store a signal unless it plainly breaks a rule, and answer the fold's verdict; repeated, the first one's.

        Raises:
            Refused: `request.invalid`, or `conflict.state`: the id was used for something else.
            Unavailable: the verdict did not come in time; the same proposal may be made again.
            Outage: the log did not take it, or not surely; likewise.
            NotOwnerError: another replica folds the chat; nothing was stored.
        """
        signal = ask.signal
        if not isinstance(signal, Command):
            raise Refused(Code.REQUEST_INVALID, f"{signal.type} is not proposed")
        p = partition(signal.chat)
        if not await self._folding.settled(p, within=SETTLE_S):
            raise Unavailable(f"partition {p} is changing hands")
        await self._reach.ready(ask.min_offset, partition=p)
        known = await self._known(signal)
        if known is not None:
            return self._verdict(known, signal)
        chat = (await self._states.load([signal.chat]))[signal.chat]
        void = rules.judge(chat.state, signal)
        if void is not None:
            known = await self._known(signal)  # again: it may be itself, asked twice, that it comes too late for
            if known is not None:
                return self._verdict(known, signal)
            as_of = max(self._reach.of(p), chat.state.offset)
            return Answer[Proposed](as_of=as_of, body=Proposed(offset=as_of, void=void))
        subject = chat_signal(signal.chat, signal.type)
        stored = await self._log.append(subject, encode(signal), msg_id=f"{signal.by}:{signal.id}")
        if not await self._reach.wait_for(Offset(stored.offset), partition=p, within=VERDICT_S):
            raise Unavailable(f"the fold has not come to offset {stored.offset} in time")
        known = await self._known(signal)
        if known is None:
            raise Unavailable(f"offset {stored.offset} is folded, but not by this replica yet")
        return self._verdict(known, signal)

    async def _known(self, signal: Command) -> SignalRow | None:
        recent = self._folding.recent.get((signal.by, signal.id))
        return recent or await self._repository.sent(signal.by, id=signal.id)

    def _verdict(self, row: SignalRow, signal: Command) -> Answer[Proposed]:
        """Answer what became of the first signal with this id.

        Raises:
            Refused: `conflict.state`: it was another one.
        """
        first = decode(row.payload)
        if digest(first) != digest(signal):
            raise Refused(Code.CONFLICT_STATE, f"id {signal.id} was used for something else at offset {row.offset}")
        body = Proposed(
            offset=row.offset,
            void=VoidReason(row.void) if row.void else None,
            repeated=first.at != signal.at,  # the same time: the same proposal, asked again because no answer came
            at=first.at,
        )
        return Answer[Proposed](as_of=max(self._reach.of(partition(row.chat)), row.offset), body=body)
