"""What a token says, and whether that makes it an access token for us."""

from typing import Final

import jwt
from pydantic import BaseModel, ConfigDict, ValidationError

from petit.contracts.ids import UserId, is_user
from petit.contracts.problems import Code, Refused
from petit.kit.auth.policy import ALGORITHMS, Policy
from petit.kit.auth.principal import Principal

MAX_TOKEN_BYTES: Final = 16_384
"""A Keycloak token with a few dozen roles has some 2 KB."""

_INVALID: Final = Code.TOKEN_INVALID
_OF_KEYCLOAK: Final = frozenset({"offline_access", "uma_authorization"})
_COMPOSITE: Final = "default-roles-"
"""Roles that Keycloak gives to everybody for its own purposes, and the name of their sum."""
_FOREIGN_KEYS: Final = frozenset({"jku", "jwk", "x5u", "x5c"})
ACCESS: Final = frozenset({"JWT", "AT+JWT"})

_jws: Final = jwt.PyJWS(algorithms=list(ALGORITHMS), options={"enforce_minimum_key_length": True})


class _Roles(BaseModel):
    model_config = ConfigDict(frozen=True)

    roles: frozenset[str] = frozenset()


class _Claims(BaseModel):
    """The payload of an access token, as Keycloak writes it (RFC 7519; OpenID Connect Core, section 2)."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, strict=True)

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    azp: str
    exp: float
    iat: float
    nbf: float = 0
    typ: str = ""
    sid: str = ""
    preferred_username: str = ""
    name: str = ""
    realm_access: _Roles = _Roles()
    cnf: object = None
    """Set when the token is bound to a key that its bearer must prove to have (RFC 7800)."""


def key_id(token: bytes, *, types: frozenset[str] = ACCESS) -> str:
    """Return the `kid` of a token whose header is fit to be looked up; nothing is verified yet.

    Args:
        token: Anything.
        types: What the header's `typ` may say, in upper case.

    Raises:
        Refused: `token.invalid` for what is no token, an algorithm that is not ours, or a header that
            brings its own key.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise Refused(_INVALID, f"a token has at most {MAX_TOKEN_BYTES} bytes, this one {len(token)}")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Refused(_INVALID, "the token is not a JWT") from None
    if header.get("alg") not in ALGORITHMS:
        raise Refused(_INVALID, f"the token's algorithm is not one of {', '.join(ALGORITHMS)}")
    if not _FOREIGN_KEYS.isdisjoint(header):
        raise Refused(_INVALID, "the token's header brings or names its own key")
    if str(header.get("typ", "JWT")).upper().removeprefix("APPLICATION/") not in types:
        raise Refused(_INVALID, "the token's header says that it is a token of another kind")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise Refused(_INVALID, "the token's header names no key")
    return kid


def read(token: bytes, *, key: jwt.PyJWK, policy: Policy, now: float) -> Principal:
    """Verify a token with its key and return who it speaks for.

    Args:
        token: One that `key_id` let pass.
        key: The issuer's key of that id.
        policy: What the token must say.
        now: Unix seconds.

    Raises:
        Refused: `token.expired` when its end is all that is wrong with it, else `token.invalid`.
    """
    try:
        payload = _jws.decode(token, key, algorithms=list(ALGORITHMS))
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Refused(_INVALID, "the token's signature is not the issuer's") from None
    try:
        claims = _Claims.model_validate_json(payload)
    except ValidationError as error:
        fields = ", ".join(sorted({str(part["loc"][0]) for part in error.errors() if part["loc"]}))
        raise Refused(
            _INVALID, f"the token's claims are missing or malformed: {fields or 'not a JSON object'}"
        ) from None
    _check(claims, policy=policy, now=now)
    username = claims.preferred_username or claims.sub
    return Principal(
        user=UserId(claims.sub),
        username=username,
        name=claims.name or username,
        roles=frozenset(role for role in claims.realm_access.roles if _is_ours(role)),
        session=claims.sid,
        client=claims.azp,
        issued_at=claims.iat,
        expires_at=claims.exp,
    )


def _check(claims: _Claims, *, policy: Policy, now: float) -> None:
    """Refuse what was signed by the issuer, but not for us or not for now."""
    audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    if claims.typ != "Bearer" or claims.cnf is not None:
        # Keycloak says ID, Refresh, Logout or DPoP of what is no plain access token.
        raise Refused(_INVALID, "the token is not a bearer access token")
    if claims.iss != policy.issuer:
        raise Refused(_INVALID, f"the token was not issued by {policy.issuer}")
    if policy.audience not in audience:
        raise Refused(_INVALID, f"the token is not for {policy.audience}")
    if claims.azp not in policy.clients:
        raise Refused(_INVALID, "the token was issued to an app that is not on the list")
    if not is_user(claims.sub):
        raise Refused(_INVALID, "the token's sub is not a user id")
    if claims.exp - claims.iat > policy.longest_s:
        raise Refused(_INVALID, f"the token was made to last longer than {policy.longest_s:.0f} s")
    if max(claims.nbf, claims.iat) > now + policy.leeway_s:
        raise Refused(_INVALID, "the token is not valid yet")
    if claims.exp <= now - policy.leeway_s:
        raise Refused(Code.TOKEN_EXPIRED, "the token has expired")


def _is_ours(role: str) -> bool:
    return role not in _OF_KEYCLOAK and not role.startswith(_COMPOSITE)
