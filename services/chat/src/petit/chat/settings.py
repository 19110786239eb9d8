"""What a deployment sets: environment variables `PETIT_CHAT_…`."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from petit.chat.ports import CqlServer
from petit.kit.access import ServiceSettings


class CqlSettings(BaseSettings):
    """What whoever uses the database sets about it, each under its own prefix. Nothing secret has a default."""

    cql_hosts: str | None = None
    """Nodes of ScyllaDB or Cassandra to begin with, as `host`, several with commas."""
    cql_port: int = 9042
    """The port of all nodes."""
    cql_keyspace: str = Field(default="petit", pattern=r"^[a-z][a-z0-9_]{0,47}$")
    """What holds the tables; `petit bootstrap` makes it."""
    cql_datacenter: str | None = None
    """The nearest datacenter; by default that of the first node."""
    cql_user: str | None = None
    """Who this process is to the database; none where it asks nobody."""
    cql_password: SecretStr | None = None
    """That user's."""
    cql_ca: Path | None = None
    """PEM file of the authority that signed the nodes' certificates. Where it is set, nothing is sent without TLS."""
    cql_cert: Path | None = None
    """PEM file of this process's certificate and its chain, for nodes that want to see one."""
    cql_key: Path | None = None
    """PEM file of that certificate's key."""

    @property
    def cql(self) -> CqlServer | None:
        """All of it as one value; None where no nodes are named."""
        if not self.cql_hosts:
            return None
        return CqlServer(
            hosts=tuple(host.strip() for host in self.cql_hosts.split(",")),
            port=self.cql_port,
            keyspace=self.cql_keyspace,
            datacenter=self.cql_datacenter,
            user=self.cql_user,
            password=None if self.cql_password is None else self.cql_password.get_secret_value(),
            ca=self.cql_ca,
            cert=self.cql_cert,
            key=self.cql_key,
        )

    @model_validator(mode="after")
    def _cql_credentials_are_whole(self) -> Self:
        if (self.cql_user is None) != (self.cql_password is None):
            raise ValueError("a database user and its password are set together")
        if (self.cql_cert is None) != (self.cql_key is None):
            raise ValueError("a certificate for the database and its key are set together")
        if self.cql_cert is not None and self.cql_ca is None:
            raise ValueError("a certificate is shown to the database by TLS only: its authority is to be set, too")
        return self


class Settings(ServiceSettings, CqlSettings):
    """One chat process. Nothing secret has a default."""

    model_config = SettingsConfigDict(env_prefix="PETIT_CHAT_", frozen=True, hide_input_in_errors=True)

    host: str = "127.0.0.1"
    """Where to listen for probes; there is nothing else."""
    port: int = 8082
    """The port there."""
    ready_lag: int = Field(default=10_000, ge=0)
    """How many offsets the fold of a replica that is ready may be behind the log."""
    store: Path | None = None
    """The SQLite file of the read model; replicas on one machine share it. Either this or `cql_hosts`."""
    replica: str = Field(default="chat-0", pattern=r"^[A-Za-z0-9_-]+$")
    """This process's name among the replicas; the same after a restart."""
    members_held: int = Field(default=200_000, ge=1)
    """Members over all chats that are kept in memory; some 300 bytes each."""

    @property
    def read_model(self) -> Path | CqlServer:
        """Where the read model is.

        Raises:
            ValueError: nowhere, or in two places; never once the settings are validated.
        """
        if self.store is not None and self.cql is None:
            return self.store
        if self.cql is not None and self.store is None:
            return self.cql
        raise ValueError("either PETIT_CHAT_STORE or PETIT_CHAT_CQL_HOSTS is set")

    @model_validator(mode="after")
    def _store_is_one(self) -> Self:
        self.read_model  # noqa: B018 - raises where it is not
        return self
