"""The manifests of both overlays, built once."""

import copy
from pathlib import Path

import pytest

from tests.k8s.building import Manifest, Overlay, build, copied


@pytest.fixture(scope="session")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `deploy` in which a site has filled in what `prod` asks for; its `k8s/overlays`."""
    return copied(tmp_path_factory.mktemp("deploy") / "deploy")


@pytest.fixture(scope="session")
def built(overlays: Path) -> dict[Overlay, list[Manifest]]:
    """Every overlay's manifests; not to be changed."""
    return {"dev": build(overlays / "dev"), "prod": build(overlays / "prod")}


@pytest.fixture
def dev(built: dict[Overlay, list[Manifest]]) -> list[Manifest]:
    """The manifests of `dev`, to be spoilt."""
    return copy.deepcopy(built["dev"])
