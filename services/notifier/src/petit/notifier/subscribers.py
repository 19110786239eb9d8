"""What comes to this process over NATS beside the log: renewals of streams that it holds, and ephemera."""

import structlog
from pydantic import ValidationError

from petit.contracts.ids import BEFORE_LOG
from petit.contracts.rpc import DeliveredNote, RenewAsk, Renewed
from petit.kit.rpc import answer
from petit.notifier.handlers.hub import Hub

_log = structlog.get_logger(__name__)


class Subscribers:
    """Passes on to the hub what came in."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def on_renew(self, _: str, payload: bytes) -> bytes:
        """Answer a `RenewAsk` with `Renewed`.

        Raises:
            Refused: there is no such stream here.
        """
        asked = RenewAsk.model_validate_json(payload)
        left = self._hub.renew(asked.connection, user=asked.user, session=asked.session, expires_at=asked.expires_at)
        return answer(Renewed(expires_in=left), as_of=BEFORE_LOG)

    def on_delivered(self, payload: bytes) -> None:
        """Pass on how far a message got; what is no such note is left."""
        try:
            note = DeliveredNote.model_validate_json(payload)
        except ValidationError:
            _log.warning("delivered.unreadable")
        else:
            self._hub.on_delivered(note)
