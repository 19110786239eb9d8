"""What can be set about an installation on one machine: environment variables `PETIT_LOCAL_…`.

Nothing here has to be set. Some are there so that tests can show what wrong clocks and short memories do.
"""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class LocalSettings(BaseSettings):
    """How the processes of `petit up` run. Lists are written as JSON."""

    model_config = SettingsConfigDict(env_prefix="PETIT_LOCAL_", frozen=True)

    writes_per_s: int = Field(default=5_000, ge=1)
    """For each person, in each process."""
    reads_per_s: int = Field(default=5_000, ge=1)
    """For each person, in each process."""
    logins_per_s: float = Field(default=50.0, gt=0)
    """By everybody together."""
    token_s: int = Field(default=600, ge=1)
    """How long an access token lasts, in seconds."""
    session_s: int = Field(default=30 * 24 * 3600, ge=1)
    """How long a log-in lasts after its last use, in seconds."""
    origins: frozenset[str] = frozenset()
    """Origins, beside our own, whose pages may read answers and open streams."""
    duplicate_window_s: float = Field(default=120.0, gt=0)
    """For how long the log knows an entry's id. The default is what the design needs."""
    fresh_ms: int = Field(default=30_000, ge=0, le=30_000)
    """How old a message's id may be for that window alone to know a repeat; smaller only where the window is."""
    clocks_ahead_ms: tuple[int, ...] = ()
    """By how much the clock of edge 0, 1, … is wrong; those that are not named are right."""
