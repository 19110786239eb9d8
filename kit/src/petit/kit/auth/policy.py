"""Which tokens are for us."""

from dataclasses import dataclass
from typing import Final

ALGORITHMS: Final = ("RS256", "ES256")
"""The only signatures that are looked at. Not a setting: `none` and HMAC must never become one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an access token must say, beside a good signature."""

    issuer: str
    """Exactly the token's `iss`, and where discovery begins: `https://sso.example/realms/petit`."""
    inside: str | None = None
    """Where the realm is reached from here, if that is another address than the public one: `http://keycloak:8080/…`."""
    clients: frozenset[str]
    """The apps (`azp`) whose tokens are accepted."""
    audience: str = "petit-api"
    """Must be among the token's `aud`."""
    longest_s: float = 3_600.0
    """A token that is made to last longer is not taken: for so long it is known that a log-in is over."""
    leeway_s: float = 20.0
    """Seconds by which the issuer's clock and ours may differ: as far as any two of our clocks may."""

    @property
    def realm(self) -> str:
        """Where discovery begins."""
        return self.inside or self.issuer
