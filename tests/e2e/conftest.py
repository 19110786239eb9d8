"""What the end-to-end tests share: one installation in one process, one with three of each, and people on them."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.people import People
from tests.e2e.stack import STOP_S, Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything in one process, as `petit up` starts it without options."""
    yield from _shared(Stack(tmp_path_factory.mktemp("one") / "data"))


@pytest.fixture(scope="session")
def stack3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Three edges and three chats behind one port."""
    yield from _shared(Stack(tmp_path_factory.mktemp("three") / "data", processes=3))


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Make installations that a test may hurt; it starts them itself."""
    made: list[Stack] = []

    def make(*, processes: int = 0, environment: Mapping[str, str] | None = None) -> Stack:
        made.append(Stack(tmp_path / f"data{len(made)}", processes=processes, environment=environment))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
async def people(stack: Stack) -> AsyncIterator[People]:
    """Make people on the installation in one process."""
    async with People(stack) as made:
        yield made


@pytest.fixture
async def people3(stack3: Stack) -> AsyncIterator[People]:
    """Make people on the installation of three edges and three chats."""
    async with People(stack3) as made:
        yield made


def _shared(stack: Stack) -> Iterator[Stack]:
    try:
        stack.start()
        yield stack
        stopped = stack.stop()
        assert stopped.status == 0
        assert stopped.took_s < STOP_S
        assert "Traceback" not in stack.logged()
    finally:
        stack.close()
