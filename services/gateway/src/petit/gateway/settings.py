"""What a deployment sets: environment variables `PETIT_GATEWAY_…`."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from petit.kit.access import ServiceSettings


class Settings(ServiceSettings):
    """One gateway process. Nothing secret has a default."""

    model_config = SettingsConfigDict(env_prefix="PETIT_GATEWAY_", frozen=True, hide_input_in_errors=True)

    host: str = "127.0.0.1"
    """Where to listen."""
    port: int = 8080
    """The port there."""
    drain_s: float = Field(default=0.0, ge=0)
    """How long to go on after SIGTERM, seconds: not ready any more, but serving until everybody knows."""
    issuer: str
    """The realm's URL, exactly as in tokens: `https://sso.example.org/realms/petit`."""
    issuer_url_inside: str | None = None
    """Where services reach the realm, if that is another address: `http://keycloak:8080/realms/petit`."""
    clients: frozenset[str] = frozenset({"petit-web", "petit-login"})
    """Apps whose tokens are taken (`azp`)."""
    admin_url: str
    """The realm's admin API: `https://sso.example.org/admin/realms/petit`."""
    directory_client: str = "petit-gateway"
    """The confidential client whose service account may view users."""
    directory_secret: SecretStr
    """That client's."""
    login_client: str = "petit-login"
    """The client for which `POST /login` has passwords looked at."""
    login_secret: SecretStr | None = None
    """That client's; none where it is a public one."""
    signup: bool = True
    """Whether anybody may make an account by `POST /signup`; else there is no such path (404 `route.not_found`)."""
    logins_per_s: int = Field(default=5, ge=1)
    """Log-ins and sign-ups for each username, and from each address, in each process."""
    trusted_proxies: tuple[str, ...] = ()
    """Our own proxies, as addresses and CIDR blocks: only what they say in `X-Forwarded-For` is believed."""
    origins: frozenset[str] = frozenset()
    """Origins whose pages may read answers: `https://chat.example.org`."""
    secure_cookies: bool = True
    """The public origin is https."""
    writes_per_s: int = Field(default=5_000, ge=1)
    """How much one person may write per second, in each process."""
    reads_per_s: int = Field(default=5_000, ge=1)
    """How much one person may read per second, in each process."""
    fresh_ms: int = Field(default=30_000, ge=0, le=30_000)
    """How old a message's id may be for the dedupe window alone to know a repeat; smaller only where that window is."""
