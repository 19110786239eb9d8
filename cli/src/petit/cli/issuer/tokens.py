"""Tokens as Keycloak 26 writes them: access, id and refresh, told apart by `typ` in their payload."""

import uuid
from collections.abc import Mapping
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.types import Options

from petit.cli.issuer.clients import GATEWAY
from petit.cli.issuer.keys import SigningKeys
from petit.cli.issuer.people import Person, user_id
from petit.cli.issuer.sessions import Session

AUDIENCE: Final = "petit-api"

_ADMIN_CLIENT: Final = "realm-management"
_ADMIN_ROLES: Final = ("manage-realm", "manage-users", "query-users", "view-events", "view-users")


class Tokens:
    """Signs and reads the tokens of one issuer.

    Args:
        keys: What access and id tokens are signed with.
        url: The issuer, as `iss` says it.
        refresh_secret: What refresh tokens are signed with.
        token_s: An access or id token lasts so many seconds.
    """

    def __init__(self, keys: SigningKeys, *, url: str, refresh_secret: bytes, token_s: int) -> None:
        self._keys = keys
        self._url = url
        self._refresh_secret = refresh_secret
        self._token_s = token_s

    def of_session(
        self, session: Session, *, person: Person, now: float, nonce: str | None = None
    ) -> dict[str, object]:
        """Return the token answer for a log-in (RFC 6749, 5.1; OpenID Connect Core, 3.1.3.3).

        Args:
            session: The log-in.
            person: Whose it is.
            now: Unix seconds.
            nonce: From the authorization request, to be repeated in the id token.
        """
        common = {"sid": session.sid, "acr": "1"} | _names(person)
        access = common | {
            "typ": "Bearer",
            "aud": [AUDIENCE],
            "realm_access": {"roles": list(person.roles)},
            "scope": session.scope,
        }
        refresh = {"typ": "Refresh", "aud": self._url, "sid": session.sid, "scope": session.scope}
        subject, client, ends = person.id, session.client, now + self._token_s
        answer: dict[str, object] = {
            "access_token": self._sign(self._stamp(access, subject=subject, client=client, now=now, ends=ends)),
            "expires_in": self._token_s,
            "refresh_expires_in": int(session.ends_at - now),
            "refresh_token": jwt.encode(
                self._stamp(refresh, subject=subject, client=client, now=now, ends=session.ends_at),
                self._refresh_secret,
                algorithm="HS512",
            ),
            "token_type": "Bearer",
            "not-before-policy": 0,
            "session_state": session.sid,
            "scope": session.scope,
        }
        if "openid" in session.scope.split():
            identity = common | {"typ": "ID", "aud": client, "auth_time": int(session.started_at)}
            if nonce is not None:
                identity["nonce"] = nonce
            answer["id_token"] = self._sign(self._stamp(identity, subject=subject, client=client, now=now, ends=ends))
        return answer

    def of_service(self, *, now: float) -> dict[str, object]:
        """Return the token answer for the gateway itself: it may administer people, and is no person."""
        account = f"service-account-{GATEWAY}"
        claims: dict[str, object] = {
            "typ": "Bearer",
            "aud": [_ADMIN_CLIENT],
            "resource_access": {_ADMIN_CLIENT: {"roles": list(_ADMIN_ROLES)}},
            "scope": "profile email",
            "preferred_username": account,
        }
        ends = now + self._token_s
        stamped = self._stamp(claims, subject=user_id(account), client=GATEWAY, now=now, ends=ends)
        return {
            "access_token": self._sign(stamped),
            "expires_in": self._token_s,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "profile email",
        }

    def read_access(self, token: str, *, now: float) -> dict[str, object] | None:
        """Return the claims of an access token of ours that is good now, else None."""
        claims = self._verified(token, now=now)
        return claims if claims is not None and claims.get("typ") == "Bearer" and _lasts(claims, now=now) else None

    def read_identity(self, token: str, *, now: float) -> dict[str, object] | None:
        """Return the claims of an id token of ours, expired or not, else None."""
        claims = self._verified(token, now=now)
        return claims if claims is not None and claims.get("typ") == "ID" else None

    def read_refresh(self, token: str, *, now: float) -> dict[str, object] | None:
        """Return the claims of a refresh token of ours that is good now, else None."""
        claims = self._decoded(token, key=self._refresh_secret, algorithm="HS512")
        return claims if claims is not None and claims.get("typ") == "Refresh" and _lasts(claims, now=now) else None

    def _stamp(
        self, claims: Mapping[str, object], *, subject: str, client: str, now: float, ends: float
    ) -> dict[str, object]:
        """Add what every token says."""
        return {
            "exp": int(ends),
            "iat": int(now),
            "jti": str(uuid.uuid4()),
            "iss": self._url,
            "sub": subject,
            "azp": client,
            **claims,
        }

    def _sign(self, claims: dict[str, object]) -> str:
        key = self._keys.active()
        return jwt.encode(claims, key.private, algorithm=key.algorithm, headers={"kid": key.kid})

    def _verified(self, token: str, *, now: float) -> dict[str, object] | None:
        """Return the claims of what one of the listed keys has signed, else None."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        for key in self._keys.listed(now=now):
            if key.kid == kid:
                return self._decoded(token, key=key.private.public_key(), algorithm=key.algorithm)
        return None

    def _decoded(
        self, token: str, *, key: RSAPublicKey | EllipticCurvePublicKey | bytes, algorithm: str
    ) -> dict[str, object] | None:
        """Return the claims under a good signature and our name, whatever their time, else None."""
        options: Options = {"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            return jwt.decode(token, key, algorithms=[algorithm], issuer=self._url, options=options)
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None


def _lasts(claims: Mapping[str, object], *, now: float) -> bool:
    ends = claims.get("exp")
    return isinstance(ends, int) and ends > now


def _names(person: Person) -> dict[str, object]:
    """Return the claims of scope `profile` (OpenID Connect Core, 5.1)."""
    names = {"name": person.name, "given_name": person.first_name, "family_name": person.last_name}
    return {claim: name for claim, name in names.items() if name} | {
        "preferred_username": person.username,
        "email_verified": False,
    }


def profile(person: Person) -> dict[str, object]:
    """Return what the userinfo endpoint says of someone (OpenID Connect Core, 5.3.2)."""
    return {"sub": person.id} | _names(person)
