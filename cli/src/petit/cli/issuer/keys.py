"""The keys that tokens are signed with, and the one that only the issuer reads."""

import base64
import hashlib
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from petit.cli.issuer.store import Store

Algorithm = Literal["RS256", "ES256"]
Private = RSAPrivateKey | EllipticCurvePrivateKey

_GRACE_S: Final = 60
"""A retired key stays listed so many seconds longer than its last token lasts, for clocks that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key pair with its name."""

    kid: str
    algorithm: Algorithm
    private: Private

    def public_jwk(self) -> dict[str, object]:
        """Return the public half as the key set lists it (RFC 7517, section 4)."""
        if isinstance(self.private, RSAPrivateKey):
            numbers = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        else:
            numbers = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {name: numbers[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in numbers} | {
            "kid": self.kid,
            "use": "sig",
            "alg": self.algorithm,
        }


class SigningKeys:
    """The keys of all processes: the newest signs, retired ones are listed while their tokens last.

    Args:
        store: Where they are kept.
        token_s: How long a token lasts, seconds.
    """

    def __init__(self, store: Store, *, token_s: int) -> None:
        self._store = store
        self._listed_s = token_s + _GRACE_S
        self._parsed: dict[str, SigningKey] = {}

    def ensure(self, algorithm: Algorithm, *, now: float) -> None:
        """Make the first key if there is none.

        Args:
            algorithm: What it is for.
            now: Unix seconds.
        """
        if not self._store.rows("SELECT 1 FROM signing_keys WHERE retired_at IS NULL"):
            self.rotate(algorithm, now=now)

    def active(self) -> SigningKey:
        """Return the key that signs now."""
        (row,) = self._store.rows("SELECT * FROM signing_keys WHERE retired_at IS NULL ORDER BY rowid DESC LIMIT 1")
        return self._parse(row)

    def listed(self, *, now: float) -> list[SigningKey]:
        """Return the keys whose tokens may still be good, newest first."""
        query = "SELECT * FROM signing_keys WHERE retired_at IS NULL OR retired_at > ? ORDER BY rowid DESC"
        return [self._parse(row) for row in self._store.rows(query, (now - self._listed_s,))]

    def rotate(self, algorithm: Algorithm, *, now: float) -> str:
        """Make a new key that signs from now on, in every process, and return its id."""
        private: Private
        if algorithm == "RS256":
            private = generate_rsa(public_exponent=65537, key_size=2048)
        else:
            private = generate_ec(SECP256R1())
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        kid = _kid(private)
        with self._store.transaction() as writing:
            writing.execute("DELETE FROM signing_keys WHERE retired_at <= ?", (now - self._listed_s,))
            writing.execute("UPDATE signing_keys SET retired_at = ? WHERE retired_at IS NULL", (now,))
            writing.execute("INSERT INTO signing_keys VALUES (?, ?, ?, ?, NULL)", (kid, algorithm, pem, now))
        return kid

    def _parse(self, row: sqlite3.Row) -> SigningKey:
        """Return a stored key; each is parsed once, because that takes longer than signing."""
        known = self._parsed.get(row["kid"])
        if known is None:
            private = serialization.load_pem_private_key(row["pem"], password=None)
            if not isinstance(private, RSAPrivateKey | EllipticCurvePrivateKey):
                raise TypeError(f"signing key {row['kid']} is neither RSA nor EC")
            known = self._parsed[row["kid"]] = SigningKey(kid=row["kid"], algorithm=row["algorithm"], private=private)
        return known


def refresh_secret(store: Store) -> bytes:
    """Return the secret that signs refresh tokens, 64 bytes, made at first use; nobody else verifies those."""
    with store.transaction() as writing:
        writing.execute("INSERT OR IGNORE INTO secrets VALUES ('refresh', ?)", (secrets.token_bytes(64),))
        (row,) = writing.execute("SELECT value FROM secrets WHERE name = 'refresh'").fetchall()
    return bytes(row["value"])


def _kid(private: Private) -> str:
    """Name a key by its public half, as Keycloak does."""
    der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
