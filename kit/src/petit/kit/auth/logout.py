"""Logout tokens: how the issuer says that a log-in is over (OpenID Connect Back-Channel Logout 1.0, 2.4 to 2.6)."""

from dataclasses import dataclass
from typing import Final

import jwt
from pydantic import BaseModel, ConfigDict, ValidationError

from petit.contracts.ids import UserId, is_user
from petit.contracts.problems import Code, Refused
from petit.kit.auth.policy import ALGORITHMS, Policy

HEADER_TYPES: Final = frozenset({"JWT", "LOGOUT+JWT"})
_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_LONGEST_S: Final = 300.0
"""Keycloak's last 120 s. A repeat within the log's dedupe window is one signal; a later one changes nothing."""
_INVALID: Final = Code.TOKEN_INVALID

_jws: Final = jwt.PyJWS(algorithms=list(ALGORITHMS), options={"enforce_minimum_key_length": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutToken:
    """What a logout token says."""

    user: UserId
    session: str | None
    """The log-in (`sid`); None: all of the person's."""
    issued_at: float
    """Unix seconds."""


class _Claims(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, strict=True)

    iss: str
    aud: str | tuple[str, ...]
    iat: float
    exp: float
    jti: str
    events: dict[str, object]
    sub: str
    """The standard lets it out where there is a `sid`; Keycloak never does, and we cannot tell whose the `sid` is."""
    sid: str | None = None
    nonce: object = None


def read_logout(token: bytes, *, key: jwt.PyJWK, policy: Policy, now: float) -> LogoutToken:
    """Verify a logout token with its key.

    Args:
        token: One that `claims.key_id` let pass.
        key: The issuer's key of that id.
        policy: Who the issuer is, and which apps' logouts concern us.
        now: Unix seconds.

    Raises:
        Refused: `token.expired`, or `token.invalid`.
    """
    try:
        payload = _jws.decode(token, key, algorithms=list(ALGORITHMS))
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Refused(_INVALID, "the logout token's signature is not the issuer's") from None
    try:
        claims = _Claims.model_validate_json(payload)
    except ValidationError as error:
        fields = ", ".join(sorted({str(part["loc"][0]) for part in error.errors() if part["loc"]}))
        raise Refused(_INVALID, f"the logout token's claims are missing or malformed: {fields}") from None
    audience = {claims.aud} if isinstance(claims.aud, str) else set(claims.aud)
    if claims.iss != policy.issuer:
        raise Refused(_INVALID, f"the logout token was not issued by {policy.issuer}")
    if audience.isdisjoint(policy.clients):
        raise Refused(_INVALID, "the logout token is for an app that is not on the list")
    if not isinstance(claims.events.get(_EVENT), dict):
        raise Refused(_INVALID, "the token is not about a logout")
    if claims.nonce is not None:
        raise Refused(_INVALID, "a logout token has no nonce: this one was made for something else")
    if not is_user(claims.sub) or claims.sid == "":
        raise Refused(_INVALID, "the logout token does not say whose log-in is over")
    if claims.iat > now + policy.leeway_s or claims.exp - claims.iat > _LONGEST_S:
        raise Refused(_INVALID, "the logout token is not valid yet, or lasts too long")
    if claims.exp <= now - policy.leeway_s:
        raise Refused(Code.TOKEN_EXPIRED, "the logout token has expired")
    return LogoutToken(user=UserId(claims.sub), session=claims.sid, issued_at=claims.iat)
