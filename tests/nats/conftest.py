"""A cluster of each test's own: it stands within two seconds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.nats.cluster import Cluster, cluster


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Three nodes, in which everything is made that bootstrap makes."""
    async with cluster(tmp_path) as made:
        await made.bootstrap()
        yield made
