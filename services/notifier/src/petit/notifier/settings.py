"""What a deployment sets: environment variables `PETIT_NOTIFIER_…`."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from petit.kit.access import ServiceSettings

_MIB = 1024 * 1024


class Settings(ServiceSettings):
    """One notifier process. Nothing secret has a default."""

    model_config = SettingsConfigDict(env_prefix="PETIT_NOTIFIER_", frozen=True, hide_input_in_errors=True)

    host: str = "127.0.0.1"
    """Where to listen."""
    port: int = 8081
    """The port there."""
    drain_s: float = Field(default=0.0, ge=0)
    """How long to go on after SIGTERM, seconds: not ready any more, but serving until everybody knows."""
    issuer: str
    """The realm's URL, exactly as in tokens: `https://sso.example.org/realms/petit`."""
    issuer_url_inside: str | None = None
    """Where services reach the realm, if that is another address: `http://keycloak:8080/realms/petit`."""
    clients: frozenset[str] = frozenset({"petit-web", "petit-login"})
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
