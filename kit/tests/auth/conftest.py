"""The issuer in memory and a verifier that asks it."""

import pytest

from kit.tests.auth.minting import Clock, MemoryIssuer
from petit.kit.auth import Verifier


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> MemoryIssuer:
    return MemoryIssuer(clock)


@pytest.fixture
def verifier(issuer: MemoryIssuer) -> Verifier:
    return issuer.verifier()
