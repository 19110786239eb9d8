"""The read model in one SQLite file: the store of one machine."""

from petit.chat.adapters.sqlite.store import SqliteStore, opened

__all__ = ["SqliteStore", "opened"]
