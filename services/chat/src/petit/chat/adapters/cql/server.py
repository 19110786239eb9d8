"""Where the database is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CqlServer:
    """A cluster, and the keyspace in it that is the read model."""

    hosts: tuple[str, ...]
    """Nodes to begin with; the others are learnt from them."""
    port: int = 9042
    keyspace: str = "petit"
    datacenter: str | None = None
    """The nearest one; None: that of the first node."""
    user: str | None = None
    password: str | None = None
    ca: Path | None = None
    """Certificates that sign the nodes': then the connection is by TLS, and names are checked."""

    def __str__(self) -> str:
        return f"keyspace {self.keyspace} at {','.join(self.hosts)}:{self.port}"
