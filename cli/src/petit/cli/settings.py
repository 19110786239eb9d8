"""What can be set about commands: environment variables `PETIT_LOCAL_…` and `PETIT_BOOTSTRAP_…`.

For an installation on one machine nothing has to be set. Some is there so that tests can show what wrong clocks and
short memories do.
"""

from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from petit.chat.settings import CqlSettings
from petit.cli.trouble import Trouble
from petit.kit.access import NatsSettings

S = TypeVar("S", bound=BaseSettings)


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


class MigrateSettings(CqlSettings):
    """What `petit migrate` makes, and where; `petit bootstrap` does the same where nodes are named."""

    model_config = SettingsConfigDict(env_prefix="PETIT_BOOTSTRAP_", frozen=True)

    cql_replication: int = Field(default=1, ge=1, le=9)
    """Copies of each row of the read model, each on another node; only where the keyspace is made."""
    wait_s: float = Field(default=300.0, ge=0)
    """How long to wait for servers that are not up yet, seconds."""


class BootstrapSettings(NatsSettings, MigrateSettings):
    """What `petit bootstrap` makes, and where."""

    model_config = SettingsConfigDict(env_prefix="PETIT_BOOTSTRAP_", frozen=True)

    replicas: int = Field(default=1, ge=1, le=5)
    """Copies of the log and of every bucket, each on another NATS node; may be changed later."""
    log_max_bytes: int = Field(default=-1, ge=-1)
    """Bytes; beyond it the log refuses signals. -1 leaves the bound to the disks."""


def read(settings: type[S]) -> S:
    """Read settings from the environment.

    Raises:
        Trouble: something is missing or wrong; each is named as the variable that it is.
    """
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        wrong = "; ".join(
            f"{prefix}{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}" if fault["loc"] else fault["msg"]
            for fault in error.errors()
        )
        raise Trouble(f"{wrong} (docs/configuration.md lists all settings)") from None
