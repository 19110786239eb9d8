"""From a token to its principal: once by its signature, then by memory."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

import httpx2
import jwt

from petit.contracts.problems import Code, Refused, Unavailable
from petit.kit.auth import claims
from petit.kit.auth.keys import Keys
from petit.kit.auth.logout import HEADER_TYPES, LogoutToken, read_logout
from petit.kit.auth.policy import Policy
from petit.kit.auth.principal import Principal
from petit.kit.auth.revocations import Revocations
from petit.kit.clock import Clock

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Verifier:
    """Verifies access tokens and remembers the good ones, by SHA-256, until they expire.

    Args:
        policy: What a token must say.
        keys: Where the issuer's keys come from.
        clock: Tells whether a token is valid yet, or still.
        capacity: How many tokens are remembered, some 1 KB each; the longest unused one is forgotten first.
    """

    def __init__(self, policy: Policy, *, keys: Keys, clock: Clock, capacity: int = 10_000) -> None:
        self._policy = policy
        self._keys = keys
        self._capacity = capacity
        self._clock = clock
        self._seen: OrderedDict[bytes, Principal] = OrderedDict()
        self.revocations = Revocations(clock=clock)
        """Log-ins whose tokens are refused; whoever reads the log tells it."""

    def cached(self, token: bytes) -> Principal | None:
        """Return who a token speaks for if it was verified before and is still good, else None: `verify` it."""
        digest = sha256(token).digest()
        principal = self._seen.get(digest)
        if principal is None:
            return None
        if principal.expires_at <= self._clock.now_ms() / 1000 - self._policy.leeway_s or self._is_over(principal):
            del self._seen[digest]
            return None
        self._seen.move_to_end(digest)
        return principal

    async def verify(self, token: bytes | str) -> Principal:
        """Return who a token speaks for; asks the issuer only for keys that are not known yet.

        Raises:
            Refused: `token.invalid` or `token.expired`.
            Unavailable: The issuer's keys are not known and cannot be had now.
        """
        raw = token.encode("utf-8", "replace") if isinstance(token, str) else token
        known = self.cached(raw)
        if known is not None:
            return known
        key = await self._key(claims.key_id(raw))
        principal = claims.read(raw, key=key, policy=self._policy, now=self._clock.now_ms() / 1000)
        if self._is_over(principal):
            raise Refused(Code.TOKEN_INVALID, "the log-in that the token belongs to is over")
        self._seen[sha256(raw).digest()] = principal
        if len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
        return principal

    async def verify_logout(self, token: bytes) -> LogoutToken:
        """Return what a logout token of the issuer says.

        Raises:
            Refused: `token.invalid` or `token.expired`.
            Unavailable: The issuer's keys are not known and cannot be had now.
        """
        key = await self._key(claims.key_id(token, types=HEADER_TYPES))
        return read_logout(token, key=key, policy=self._policy, now=self._clock.now_ms() / 1000)

    async def unkeyed(self) -> str | None:
        """Say why no token can be verified: no key of the issuer was ever here. None: one was, and may be again."""
        try:
            await self._keys.ensure()
        except Unavailable as error:
            return error.detail
        return None

    async def _key(self, kid: str) -> jwt.PyJWK:
        key = await self._keys.find(kid)
        if key is None:
            raise Refused(Code.TOKEN_INVALID, "the token's key is not one of the issuer's")
        return key

    def _is_over(self, principal: Principal) -> bool:
        return self.revocations.covers(user=principal.user, session=principal.session, issued_at=principal.issued_at)


@asynccontextmanager
async def verifying(policy: Policy, *, clock: Clock) -> AsyncIterator[Verifier]:
    """Open a verifier with an HTTP client of its own; nothing is fetched before the first token comes.

    One process needs one: its edges share it. A proxy of the environment is not used for a loopback issuer.
    """
    loopback = urlsplit(policy.realm).hostname in _LOOPBACK
    async with httpx2.AsyncClient(trust_env=not loopback) as client:
        keys = Keys(policy.issuer, realm=policy.inside, client=client, clock=clock)
        yield Verifier(policy, keys=keys, clock=clock)
