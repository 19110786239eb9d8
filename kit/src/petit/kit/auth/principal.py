"""Who a verified token speaks for."""

from dataclasses import dataclass

from petit.contracts.ids import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person as their access token describes them; true when the token was made."""

    user: UserId
    """The token's `sub`."""
    username: str
    """What they log in with; `user` where the issuer does not say."""
    name: str
    """What people call them; `username` where the issuer does not say."""
    roles: frozenset[str]
    """Realm roles, as `USER` and `ADMIN`; unknown ones are kept."""
    session: str
    """The log-in this token belongs to (`sid`); empty if unknown."""
    client: str
    """The app that the token was issued to (`azp`)."""
    issued_at: float
    """Unix seconds."""
    expires_at: float
    """Unix seconds, as in the token: requests are accepted for the policy's leeway longer, streams are not."""
