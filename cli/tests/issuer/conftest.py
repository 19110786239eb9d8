"""An issuer on its first data and a client of it."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.tests.issuer.asking import Asking, Clock, asking, running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def first_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make keys and people once, because that takes longer than most tests."""
    data = tmp_path_factory.mktemp("first")
    with running(data, clock=Clock()):
        pass
    return data


@pytest.fixture
def data(first_data: Path, tmp_path: Path) -> Path:
    shutil.copytree(first_data, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
async def ask(data: Path, clock: Clock) -> AsyncIterator[Asking]:
    async with asking(data, clock=clock) as client:
        yield client


@pytest.fixture
def gateway_secret(data: Path) -> str:
    return (data / "issuer" / "gateway.secret").read_text().strip()
