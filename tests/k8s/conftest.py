"""The manifests of both overlays, built once; and `dev` on a cluster, applied once."""

import copy
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.people import People
from tests.k8s.building import OVERLAYS, Manifest, Overlay, build, copied
from tests.k8s.installation import Installation


@pytest.fixture(scope="session")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `deploy` in which a site has filled in what `prod` asks for; its `k8s/overlays`."""
    return copied(tmp_path_factory.mktemp("deploy") / "deploy")


@pytest.fixture(scope="session")
def built(overlays: Path) -> dict[Overlay, list[Manifest]]:
    """Every overlay's manifests; not to be changed."""
    return {overlay: build(overlays / overlay) for overlay in OVERLAYS}


@pytest.fixture
def dev(built: dict[Overlay, list[Manifest]]) -> list[Manifest]:
    """The manifests of `dev`, to be spoilt."""
    return copy.deepcopy(built["dev"])


@pytest.fixture(scope="session")
def stack() -> Iterator[Installation]:
    """The whole of `dev` on the cluster, applied to nothing."""
    installation = Installation()
    try:
        installation.start()
        yield installation
    finally:
        installation.close()


@pytest.fixture(scope="session")
def stack3(stack: Installation) -> Installation:
    """The same: everything is there twice at least."""
    return stack


@pytest.fixture
async def people(stack: Installation) -> AsyncIterator[People]:
    """Make people on it."""
    async with People(stack) as made:
        yield made


@pytest.fixture
async def people3(people: People) -> People:
    """The same."""
    return people
