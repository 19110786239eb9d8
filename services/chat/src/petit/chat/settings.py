"""What a deployment sets: environment variables `PETIT_CHAT_…`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from petit.kit.access import ServiceSettings


class Settings(ServiceSettings):
    """One chat process. Nothing secret has a default."""

    model_config = SettingsConfigDict(env_prefix="PETIT_CHAT_", frozen=True)

    host: str = "127.0.0.1"
    """Where to listen for probes; there is nothing else."""
    port: int = 8082
    ready_lag: int = Field(default=10_000, ge=0)
    """How many offsets the fold of a replica that is ready may be behind the log."""
    store: Path
    """The SQLite file of the read model; replicas on one machine share it."""
    replica: str = Field(default="chat-0", pattern=r"^[A-Za-z0-9_-]+$")
    """This process's name among the replicas; the same after a restart."""
    members_held: int = Field(default=200_000, ge=1)
    """Members over all chats that are kept in memory; some 300 bytes each."""
