"""What can be set about the development issuer."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long things last and how often they may happen."""

    token_s: int = 600
    """An access or id token lasts so many seconds."""
    session_s: int = 30 * 24 * 3600
    """A log-in lasts so many seconds after its last refresh."""
    code_s: int = 60
    """An authorization code has to be redeemed within so many seconds."""
    logins_per_s: float = 50.0
    """So many passwords are looked at in a second, by all processes together."""
    algorithm: Literal["RS256", "ES256"] = "RS256"
    """What the first signing key of new data is for."""


DEFAULTS: Final = Settings()
