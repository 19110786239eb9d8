"""An issuer in memory for the tests of petit.kit.auth: it mints every kind of token and counts who asks for keys."""

import json
import uuid
from typing import Any, Final

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from petit.kit.auth import Keys, Policy, Refetch, Verifier

ISSUER: Final = "https://sso.test/realms/petit"
CERTS: Final = f"{ISSUER}/protocol/openid-connect/certs"
POLICY: Final = Policy(issuer=ISSUER, clients=frozenset({"petit-web"}), leeway_s=20)
START: Final = 1_700_000_000.0


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self) -> None:
        self.time = START

    def now_ms(self) -> int:
        return int(self.time * 1000)

    def monotonic(self) -> float:
        return self.time


class MemoryIssuer:
    """Signs tokens and answers discovery and key requests through an httpx2 transport."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.signing: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {}
        self.listed: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.down = False
        self.answers: dict[str, httpx2.Response] = {}
        self.add_rsa("first")

    @property
    def key_fetches(self) -> int:
        return self.asked.count(CERTS)

    def add_rsa(self, kid: str, *, bits: int = 2048) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        self.signing[kid] = key
        self.listed.append(RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "alg": "RS256"})

    def add_ec(self, kid: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.signing[kid] = key
        self.listed.append(ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "alg": "ES256"})

    def claims(self, **changes: object) -> dict[str, Any]:
        now = int(self.clock.time)
        whole: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "ada-id",
            "aud": ["petit-api"],
            "azp": "petit-web",
            "iat": now,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
            "typ": "Bearer",
            "sid": "session-1",
            "preferred_username": "ada",
            "name": "Ada",
            "realm_access": {"roles": ["USER"]},
        }
        return {name: value for name, value in (whole | changes).items() if value is not None}

    def mint(self, *, kid: str = "first", header: dict[str, Any] | None = None, **changes: object) -> bytes:
        """Sign a token; a claim of None is left out."""
        key = self.signing[kid]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        token = jwt.encode(self.claims(**changes), key, algorithm=algorithm, headers={"kid": kid} | (header or {}))
        return token.encode()

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        url = str(request.url)
        self.asked.append(url)
        if self.down:
            raise httpx2.ConnectError("down", request=request)
        if url in self.answers:
            return self.answers[url]
        if url == f"{ISSUER}/.well-known/openid-configuration":
            return httpx2.Response(200, json={"issuer": ISSUER, "jwks_uri": CERTS})
        if url == CERTS:
            return httpx2.Response(200, content=json.dumps({"keys": self.listed}))
        return httpx2.Response(404)

    def verifier(self, *, policy: Policy = POLICY, capacity: int = 100, refetch: Refetch | None = None) -> Verifier:
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer))
        keys = Keys(ISSUER, client=client, refetch=refetch or Refetch(), clock=self.clock)
        return Verifier(policy, keys=keys, capacity=capacity, clock=self.clock)


async def accepted(verifier: Verifier, token: bytes) -> bool:
    """Say whether a token that was minted for Ada is taken for hers; what refuses it is raised."""
    return (await verifier.verify(token)).user == "ada-id"
