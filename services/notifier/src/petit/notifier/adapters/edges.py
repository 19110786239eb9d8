"""Other edges, over NATS: gateways that do what clients ask, notifiers that hold other streams, and tickets."""

import re
from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from petit.contracts.ids import UserId
from petit.contracts.problems import Code, Refused
from petit.contracts.rpc import Do, DoBatch, Done, DoneItem, RenewAsk, Renewed, TicketFor
from petit.contracts.subjects import GATEWAY_DO, notifier_renew
from petit.kit.connection import Connection
from petit.kit.errors import Unreached
from petit.kit.rpc import ask
from petit.kit.tickets import Tickets
from petit.notifier.ports import RenewHere

DO_S: Final = 8.0
"""How long a batch may take: a gateway may have to ask chat."""
RENEW_S: Final = 0.5
"""How long another process may take to answer; where nobody is there any more, how long we look."""
_CONNECTION: Final = re.compile(r"^([0-9a-f]{8})-[0-9]{1,12}$")


class NatsGateway:
    """Asks whichever gateway is free. See `ports.Gateway`."""

    def __init__(self, nc: Connection) -> None:
        self._nc = nc

    async def do(self, items: Sequence[Do]) -> Sequence[DoneItem]:
        """See `Gateway.do`."""
        done, _ = await ask(self._nc, GATEWAY_DO, DoBatch(items=tuple(items)), body=Done, within=DO_S)
        return done.items


class NatsTickets:
    """Redeems tickets from the bucket where gateways put them. See `ports.Tickets`."""

    def __init__(self, nc: Connection) -> None:
        self._tickets = Tickets(nc)

    async def redeem(self, ticket: str) -> TicketFor | None:
        """See `Tickets.redeem`."""
        held = await self._tickets.redeem(ticket)
        try:
            return None if held is None else TicketFor.model_validate_json(held)
        except ValidationError:
            return None


class NatsRenewals:
    """Renews the streams of this process directly, and those of others by asking them. See `ports.Renewals`.

    Args:
        instance: This process's name.
        here: Renews a stream of this process.
    """

    def __init__(self, nc: Connection, *, instance: str, here: RenewHere) -> None:
        self._nc = nc
        self._instance = instance
        self._here = here

    async def renew(self, connection: str, *, user: UserId, session: str, expires_at: float) -> int:
        """See `Renewals.renew`."""
        named = _CONNECTION.match(connection)
        if named is None:
            raise _unknown(connection)
        if named[1] == self._instance:
            return self._here(connection, user=user, session=session, expires_at=expires_at)
        request = RenewAsk(connection=connection, user=user, session=session, expires_at=expires_at)
        try:
            renewed, _ = await ask(self._nc, notifier_renew(named[1]), request, body=Renewed, within=RENEW_S)
        except Unreached:
            raise _unknown(connection) from None
        return renewed.expires_in


def _unknown(connection: str) -> Refused:
    return Refused(Code.ROUTE_NOT_FOUND, f"there is no stream {connection[:64]!r} of yours")
