"""Where NATS is, and as whom a process comes to it.

Every service sets the same things under its own prefix (`PETIT_CHAT_NATS_URL`, …), and everything that connects takes
them as one value. On the real stack each service is a user of its own, whose permissions are a list in
`deploy/nats/nats.conf`; the server of `petit up` knows a token only.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

_INBOX: Final = "_INBOX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What it takes to connect."""

    url: str
    """One `nats://host:port`, or several separated by commas."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    """In place of user and password."""
    ca: Path | None = None
    """PEM file of the authority that signed the servers' certificates; None: no TLS."""

    @property
    def servers(self) -> list[str]:
        """The servers, one by one."""
        return [server.strip() for server in self.url.split(",")]

    @property
    def inbox_prefix(self) -> str:
        """What the subjects of all answers to us begin with. No other user may read there."""
        return _INBOX if self.user is None else f"{_INBOX}_{self.user}"

    def tls(self) -> ssl.SSLContext | None:
        """Return how to verify a server; None: not at all.

        Raises:
            OSError: the authority's file cannot be read, or is none.
        """
        return None if self.ca is None else ssl.create_default_context(cafile=self.ca)


class NatsSettings(BaseSettings):
    """What whoever connects sets about NATS, each under its own prefix. Nothing secret has a default."""

    nats_url: str
    """`nats://host:port`, several with commas."""
    nats_user: str | None = None
    """Who this service is to NATS; its permissions are in `deploy/nats/nats.conf`."""
    nats_password: SecretStr | None = None
    """That user's."""
    nats_token: SecretStr | None = None
    """In place of user and password, for a server that knows a token only."""
    nats_ca: Path | None = None
    """PEM file of the authority that signed the servers' certificates. Where it is set, nothing is sent without TLS."""

    @property
    def nats(self) -> Access:
        """All of it as one value."""
        password, token = self.nats_password, self.nats_token
        return Access(
            url=self.nats_url,
            user=self.nats_user,
            password=None if password is None else password.get_secret_value(),
            token=None if token is None else token.get_secret_value(),
            ca=self.nats_ca,
        )

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        if (self.nats_user is None) != (self.nats_password is None):
            raise ValueError("a NATS user and its password are set together")
        if (self.nats_user is None) == (self.nats_token is None):
            raise ValueError("either a NATS user or a token is set")
        return self


class ServiceSettings(NatsSettings):
    """What every service sets that relies on streams and buckets, and may not make them."""

    bootstrap_wait_s: float = Field(default=60.0, ge=0)
    """How long to wait at the start until `petit bootstrap` has made streams and buckets, seconds."""
