"""What a deployment sets: environment variables `PETIT_CHAT_…`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """One chat process. Nothing secret has a default."""

    model_config = SettingsConfigDict(env_prefix="PETIT_CHAT_", frozen=True)

    nats_url: str
    """`nats://host:port`, several with commas."""
    nats_token: SecretStr
    store: Path
    """The SQLite file of the read model; replicas on one machine share it."""
    replica: str = Field(default="chat-0", pattern=r"^[A-Za-z0-9_-]+$")
    """This process's name among the replicas; the same after a restart."""
    members_held: int = Field(default=200_000, ge=1)
    """Members over all chats that are kept in memory; some 300 bytes each."""
