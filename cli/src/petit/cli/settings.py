"""What can be set about commands: environment variables `PETIT_LOCAL_…`, `PETIT_BOOTSTRAP_…`, `PETIT_DOCTOR_…`.

For an installation on one machine nothing has to be set. Some is there so that tests can show what wrong clocks and
short memories do.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from petit.chat.settings import CqlSettings
from petit.cli.trouble import Trouble
from petit.kit.access import Access, NatsSettings

S = TypeVar("S", bound=BaseSettings)


class LocalSettings(BaseSettings):
    """How the processes of `petit up` run. Lists are written as JSON."""

    model_config = SettingsConfigDict(env_prefix="PETIT_LOCAL_", frozen=True, hide_input_in_errors=True)

    writes_per_s: int = Field(default=5_000, ge=1)
    """How much one person may write per second, in each process."""
    reads_per_s: int = Field(default=5_000, ge=1)
    """How much one person may read per second, in each process."""
    logins_per_s: float = Field(default=50.0, gt=0)
    """How often all together may log in per second."""
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

    model_config = SettingsConfigDict(env_prefix="PETIT_BOOTSTRAP_", frozen=True, hide_input_in_errors=True)

    cql_replication: int = Field(default=1, ge=1, le=9)
    """Copies of each row of the read model, each on another node; only where the keyspace is made."""
    wait_s: float = Field(default=300.0, ge=0)
    """How long to wait for servers that are not up yet, seconds."""


class BootstrapSettings(NatsSettings, MigrateSettings):
    """What `petit bootstrap` makes, and where."""

    model_config = SettingsConfigDict(env_prefix="PETIT_BOOTSTRAP_", frozen=True, hide_input_in_errors=True)

    replicas: int = Field(default=1, ge=1, le=5)
    """Copies of the log and of every bucket, each on another NATS node; may be changed later."""
    log_max_bytes: int = Field(default=-1, ge=-1)
    """Bytes; beyond it the log refuses signals. -1 leaves the bound to the disks."""


class DoctorSettings(CqlSettings):
    """What `petit doctor --stack real` looks at. What is not set is not looked at, except NATS."""

    model_config = SettingsConfigDict(
        env_prefix="PETIT_DOCTOR_", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )

    nats_url: str
    """`nats://host:port`, several with commas."""
    nats_ca: Path | None = None
    """PEM file of the authority that signed the servers' certificates."""
    gateway_password: SecretStr | None = Field(default=None, alias="NATS_GATEWAY_PASSWORD")
    """Of the NATS user `gateway`, as the servers have it; each user that is named here is tried."""
    notifier_password: SecretStr | None = Field(default=None, alias="NATS_NOTIFIER_PASSWORD")
    """Of `notifier`; with it, that it is refused to publish signals."""
    chat_password: SecretStr | None = Field(default=None, alias="NATS_CHAT_PASSWORD")
    """Of `chat`."""
    search_password: SecretStr | None = Field(default=None, alias="NATS_SEARCH_PASSWORD")
    """Of `search`; with it, that it is refused to read what is to one person."""
    attachments_password: SecretStr | None = Field(default=None, alias="NATS_ATTACHMENTS_PASSWORD")
    """Of `attachments`."""
    bootstrap_password: SecretStr | None = Field(default=None, alias="NATS_BOOTSTRAP_PASSWORD")
    """Of `bootstrap`."""
    operator_password: SecretStr = Field(alias="NATS_OPERATOR_PASSWORD")
    """Of `operator`, who may look at every stream."""
    replicas: int = Field(default=3, ge=1, le=5)
    """How many copies there should be of the log and of every bucket."""
    log_max_bytes: int = Field(default=-1, ge=-1)
    """As PETIT_BOOTSTRAP_LOG_MAX_BYTES, for `--new-epoch` where the old log is gone: else its bound is kept."""
    issuer: str | None = None
    """The realm's URL, exactly as in tokens."""
    issuer_url_inside: str | None = None
    """Where services reach the realm, if that is another address."""
    admin_url: str | None = None
    """The realm's admin API."""
    directory_client: str = "petit-gateway"
    """The confidential client whose service account may view users."""
    directory_secret: SecretStr | None = None
    """That client's."""

    def nats(self) -> dict[str, Access]:
        """Return what it takes to connect as each user whose password is known, by name."""
        passwords = {
            "operator": self.operator_password,
            "gateway": self.gateway_password,
            "notifier": self.notifier_password,
            "chat": self.chat_password,
            "search": self.search_password,
            "attachments": self.attachments_password,
            "bootstrap": self.bootstrap_password,
        }
        return {
            user: Access(url=self.nats_url, user=user, password=password.get_secret_value(), ca=self.nats_ca)
            for user, password in passwords.items()
            if password is not None
        }


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
            f"{_variable(fault['loc'], prefix)}: {fault['msg']}" if fault["loc"] else fault["msg"]
            for fault in error.errors()
        )
        raise Trouble(f"{wrong} (docs/configuration.md lists all settings)") from None


def _variable(place: tuple[int | str, ...], prefix: str) -> str:
    name = "_".join(map(str, place))
    return name if name.isupper() else f"{prefix}{name.upper()}"  # an alias is the variable's own name
