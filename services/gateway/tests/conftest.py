"""What the gateway's tests share."""

from collections.abc import AsyncIterator

import pytest

from services.gateway.tests.edge import Edge, opened


@pytest.fixture
async def world() -> AsyncIterator[Edge]:
    """A gateway over ports in memory, with ada, bob, cat, dan and eve."""
    async with opened() as one:
        yield one
