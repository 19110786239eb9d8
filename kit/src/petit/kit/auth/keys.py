"""The issuer's public keys: found by discovery, cached, and fetched again no oftener than agreed.

A known key is answered from memory. An unknown one makes us ask the issuer once, because that is how a
rotation shows; but tokens with made-up key ids cost nothing to send, so all fetches of a process share
one small budget, and an id that the issuer did not know is not asked for again for a while.
"""

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import httpx2
import jwt
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from petit.contracts.problems import Unavailable
from petit.kit.auth.budget import Budget
from petit.kit.auth.policy import ALGORITHMS
from petit.kit.clock import Clock

_MAX_BODY_BYTES: Final = 262_144
_MAX_REMEMBERED: Final = 1_000

_PUBLIC: Final = ("kty", "kid", "n", "e", "crv", "x", "y")
"""The members of a JWK that we take; what makes one private is left where it is."""

_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refetch:
    """How often the issuer is asked."""

    every_s: float = 300.0
    """Keys older than this many seconds are fetched again; until that works the old ones are used."""
    burst: int = 5
    """So many fetches may follow one another at once."""
    refill_s: float = 2.0
    """Beyond the burst, one fetch in so many seconds, whatever is asked for."""
    stale_s: float = 30.0
    """After a fetch that failed, known keys are used for so many seconds before the next try."""
    unknown_s: float = 30.0
    """For so many seconds an id that the issuer did not know is not asked for again."""
    timeout_s: float = 3.0
    """A fetch, discovery included, takes at most so many seconds."""


class _Discovery(BaseModel):
    """What we use of OpenID Connect Discovery, section 3."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    jwks_uri: str


class _KeySet(BaseModel):
    """A JWK set (RFC 7517, section 5)."""

    model_config = ConfigDict(frozen=True)

    keys: tuple[dict[str, object], ...]


class _Unreachable(Exception):
    """The issuer's keys could not be fetched."""


class Keys:
    """The keys of one issuer.

    Args:
        issuer: Its URL, as its discovery document has to spell it.
        realm: Where we reach it; discovery is `/.well-known/openid-configuration` below. None: at its URL.
        client: Does the requests; redirects are not followed.
        clock: Measures how long ago things were.
        refetch: How often the issuer is asked.
    """

    def __init__(
        self,
        issuer: str,
        *,
        realm: str | None = None,
        client: httpx2.AsyncClient,
        clock: Clock,
        refetch: Refetch = Refetch(),
    ) -> None:
        self._issuer = issuer
        self._realm = realm or issuer
        self._client = client
        self._refetch = refetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fresh_until = -math.inf
        self._jwks_uri: str | None = None
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._budget = Budget(burst=refetch.burst, refill_s=refetch.refill_s, clock=clock)
        self._reachable = False
        self._fetches = 0
        self._fetching = asyncio.Lock()

    async def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of this id, None if the issuer has no such key as far as we may ask.

        Raises:
            Unavailable: The key is not known and the issuer cannot be asked now.
        """
        key = self._keys.get(kid)
        if key is not None and (self._clock.monotonic() < self._fresh_until or self._fetching.locked()):
            return key
        if key is None and self._clock.monotonic() < self._unknown.get(kid, -math.inf):
            return None
        asked = await self._ask()
        key = self._keys.get(kid)
        if key is None and not self._reachable:
            raise self._unavailable()
        if key is None and asked:
            self._unknown[kid] = self._clock.monotonic() + self._refetch.unknown_s
            if len(self._unknown) > _MAX_REMEMBERED:
                self._unknown.popitem(last=False)
        return key

    async def ensure(self) -> None:
        """Have keys, however old: who has none asks the issuer.

        Raises:
            Unavailable: None were ever here, and the issuer cannot be asked now.
        """
        if not self._keys:
            await self._ask()
        if not self._keys:
            raise self._unavailable()

    async def _ask(self) -> bool:
        """Fetch the keys, or wait for who is at it; say whether it was tried: not where that would be too often."""
        seen = self._fetches
        async with self._fetching:
            if self._fetches == seen and self._budget.take():
                await self._fetch()
            return self._fetches > seen

    def _unavailable(self) -> Unavailable:
        return Unavailable(f"the keys of {self._issuer} cannot be fetched")

    async def _fetch(self) -> None:
        """Replace all keys by the issuer's of now; leave them as they are if it cannot be reached."""
        try:
            async with asyncio.timeout(self._refetch.timeout_s):
                self._keys = await self._download()
        except (_Unreachable, TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            self._fetches += 1
            self._reachable = False
            self._jwks_uri = None
            self._fresh_until = self._clock.monotonic() + self._refetch.stale_s
            _log.warning("keys.unreachable", issuer=self._issuer, error=repr(error), known=len(self._keys))
        else:
            self._fetches += 1
            self._reachable = True
            self._fresh_until = self._clock.monotonic() + self._refetch.every_s
            _log.info("keys.fetched", issuer=self._issuer, kids=sorted(self._keys))

    async def _download(self) -> dict[str, jwt.PyJWK]:
        """Discover the key set's address, once until a fetch fails, and return its usable keys by id.

        Raises:
            _Unreachable: An answer is not what it should be.
            HTTPError: There is no answer.
        """
        try:
            if self._jwks_uri is None:
                found = _Discovery.model_validate_json(
                    await self._get(f"{self._realm}/.well-known/openid-configuration")
                )
                if found.issuer != self._issuer:
                    raise _Unreachable(f"the issuer at {self._realm} calls itself {found.issuer}")
                self._jwks_uri = found.jwks_uri
            listed = _KeySet.model_validate_json(await self._get(self._jwks_uri)).keys
        except ValidationError as error:
            raise _Unreachable(f"{self._issuer} answered {error.title} that cannot be read") from error
        usable = {key.key_id: key for data in listed if (key := _usable(data)) is not None and key.key_id}
        if not usable:
            raise _Unreachable(f"{self._issuer} lists no key for {' or '.join(ALGORITHMS)}")
        return usable

    async def _get(self, url: str) -> bytes:
        """Return the body of a 200 answer.

        Raises:
            _Unreachable: It has another status or is too large.
            HTTPError: There is no answer.
        """
        async with self._client.stream("GET", url, headers={"accept": "application/json"}) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise _Unreachable(f"{url} answered {answer.status_code}")
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > _MAX_BODY_BYTES:
                    raise _Unreachable(f"{url} answered more than {_MAX_BODY_BYTES} bytes")
            return bytes(body)


def _usable(data: dict[str, object]) -> jwt.PyJWK | None:
    """Return a listed key if it is a public one that signs with one of our algorithms, else None."""
    if data.get("use", "sig") != "sig":
        return None
    match data:
        case {"kty": "RSA"} if data.get("alg", "RS256") == "RS256":
            algorithm = "RS256"
        case {"kty": "EC", "crv": "P-256"} if data.get("alg", "ES256") == "ES256":
            algorithm = "ES256"
        case _:
            return None
    try:
        return jwt.PyJWK({name: data[name] for name in _PUBLIC if name in data}, algorithm)
    except (jwt.PyJWTError, ValueError):
        return None
