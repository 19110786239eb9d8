"""Opens streams on connections that the HTTP server gives away. See `ports.Door`."""

from petit.kit.serving import Takeover
from petit.notifier.handlers.doings import Doings
from petit.notifier.handlers.hub import Hub
from petit.notifier.ports import Opening
from petit.notifier.sockets.connection import Connection


def open_stream(opening: Opening, takeover: Takeover, *, hub: Hub, doings: Doings) -> None:
    """Take the connection over, answer the request, and hand it to the hub."""
    connection = Connection(opening, hub=hub, doings=doings)
    connection.open(takeover(connection), head=opening.head)
    hub.arrive(connection, cursor=opening.cursor, expires_at=opening.expires_at)
