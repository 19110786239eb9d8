"""What a deployment sets: environment variables `PETIT_NOTIFIER_…`."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_MIB = 1024 * 1024


class Settings(BaseSettings):
    """One notifier process. Nothing secret has a default."""

    model_config = SettingsConfigDict(env_prefix="PETIT_NOTIFIER_", frozen=True)

    host: str = "127.0.0.1"
    """Where to listen."""
    port: int = 8081
    nats_url: str
    """`nats://host:port`, several with commas."""
    nats_token: SecretStr
    issuer: str
    """The realm's URL, exactly as in tokens: `https://sso.example.org/realms/petit`."""
    clients: frozenset[str] = frozenset({"petit-web"})
    """Apps whose tokens are taken (`azp`)."""
    origins: frozenset[str] = frozenset()
    """Origins whose pages may open streams: `https://chat.example.org`."""
    reads_per_s: int = Field(default=5_000, ge=1)
    """How many streams one person may open, renew or ask about per second."""
    ring_mib: int = Field(default=32, ge=1)
    """How much of the recent past is kept for those who come back, MiB."""

    @property
    def ring_bytes(self) -> int:
        """The same in bytes."""
        return self.ring_mib * _MIB
