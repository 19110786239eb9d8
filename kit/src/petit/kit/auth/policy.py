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
    clients: frozenset[str]
    """The apps (`azp`) whose tokens are accepted."""
    audience: str = "petit-api"
    """Must be among the token's `aud`."""
    leeway_s: float = 20.0
    """Seconds by which the issuer's clock and ours may differ: as far as any two of our clocks may."""
