"""A token is verified once and remembered until it expires."""

import pytest

from kit.tests.auth.minting import START, Clock, MemoryIssuer
from petit.contracts.problems import Code, Refused
from petit.kit.auth import Verifier


async def test_a_verified_token_is_known_without_asking_or_awaiting(verifier: Verifier, issuer: MemoryIssuer) -> None:
    token = issuer.mint()
    assert verifier.cached(token) is None

    principal = await verifier.verify(token)
    issuer.down = True

    assert verifier.cached(token) is principal
    assert await verifier.verify(token) is principal


async def test_a_remembered_token_ends_with_its_leeway(verifier: Verifier, issuer: MemoryIssuer, clock: Clock) -> None:
    token = issuer.mint(exp=START + 600)
    await verifier.verify(token)

    clock.time = START + 619.9
    assert verifier.cached(token) is not None

    clock.time = START + 620
    assert verifier.cached(token) is None
    with pytest.raises(Refused) as refused:
        await verifier.verify(token)
    assert refused.value.code is Code.TOKEN_EXPIRED


async def test_only_the_latest_used_tokens_are_remembered(issuer: MemoryIssuer) -> None:
    verifier = issuer.verifier(capacity=2)
    first, second, third = (issuer.mint() for _ in range(3))

    await verifier.verify(first)
    await verifier.verify(second)
    verifier.cached(first)
    await verifier.verify(third)

    assert verifier.cached(first) is not None
    assert verifier.cached(second) is None
    assert verifier.cached(third) is not None


async def test_refused_tokens_are_not_remembered(verifier: Verifier, issuer: MemoryIssuer) -> None:
    token = issuer.mint(aud="account")

    for _ in range(2):
        with pytest.raises(Refused):
            await verifier.verify(token)
        assert verifier.cached(token) is None
