"""What has happened to people and their log-ins, noted for a day: Keycloak's events, as far as the product asks."""

from dataclasses import dataclass
from typing import Final, Literal

from petit.cli.issuer.store import Store

_KEPT_MS: Final = 86_400_000

Kind = Literal["LOGOUT", "UPDATE", "DELETE", "ACTION"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; all but a `LOGOUT` was done by an administrator."""

    time_ms: int
    kind: Kind
    user: str
    session: str | None


class Events:
    """All of them, in the shared file."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, kind: Kind, *, user: str, session: str | None = None, now: float) -> None:
        """Write down what happens at a time, Unix seconds."""
        now_ms = int(now * 1000)
        with self._store.transaction() as writing:
            writing.execute("DELETE FROM events WHERE time_ms < ?", (now_ms - _KEPT_MS,))
            writing.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (now_ms, kind, user, session))

    def since(self, time_ms: int, *, by_admins: bool, first: int, limit: int) -> list[Event]:
        """Return events since a time, Unix milliseconds, in order, without the `first` ones."""
        rows = self._store.rows(
            "SELECT * FROM events WHERE time_ms >= ? AND (kind <> 'LOGOUT') = ? ORDER BY time_ms, rowid LIMIT ?, ?",
            (time_ms, by_admins, first, limit),
        )
        return [
            Event(time_ms=row["time_ms"], kind=row["kind"], user=row["user"], session=row["session"]) for row in rows
        ]
