"""How a void send is announced to its author: the same signal, whoever announces it and however often."""

import uuid
from typing import Final

from petit.chat.domain.rows import VoidRow
from petit.contracts.ids import Epoch, SignalId, Timestamp
from petit.contracts.signals import MsgVoid, MsgVoidData

_VOID: Final = uuid.UUID("6d1f6f0e-70f5-5d0c-9f43-5a4a7d3f5c03")


def announcement(row: VoidRow, *, epoch: Epoch, at: Timestamp) -> MsgVoid:
    """Return the `msg.void` of an overtaken send; its id depends on nothing but the send's place in the log."""
    return MsgVoid(
        id=SignalId(str(uuid.uuid5(_VOID, f"{epoch}:{row.offset}"))),
        chat=row.chat,
        by=row.author,
        at=at,
        data=MsgVoidData(message=row.message, offset=row.offset, reason=row.reason),
    )


def dedupe_id(row: VoidRow) -> str:
    """Return the `Nats-Msg-Id` of an announcement."""
    return f"void:{row.offset}"
