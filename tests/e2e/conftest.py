"""What the end-to-end tests share: an installation, one with three of each process, and people on them.

With `--stack real` both are one and the same: the real stack in containers, three replicas of every service.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.e2e.local import STOP_S, LocalStack
from tests.e2e.people import People
from tests.e2e.stack import Stack


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything in one process, as `petit up` starts it without options; or the real stack."""
    if _is_real(request):
        yield request.getfixturevalue("real_stack")
    else:
        yield from _shared(LocalStack(tmp_path_factory.mktemp("one") / "data"))


@pytest.fixture(scope="session")
def stack3(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Three edges and three chats behind one port."""
    if _is_real(request):
        yield request.getfixturevalue("real_stack")
    else:
        yield from _shared(LocalStack(tmp_path_factory.mktemp("three") / "data", processes=3))


@pytest.fixture
def own_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Make installations that a test may hurt; it starts them itself.

    The real stack is one: it is hurt, and heals.
    """
    if _is_real(request):
        yield lambda **_: request.getfixturevalue("real_stack")
        return
    made: list[LocalStack] = []

    def make(*, processes: int = 0, environment: Mapping[str, str] | None = None) -> Stack:
        made.append(LocalStack(tmp_path / f"data{len(made)}", processes=processes, environment=environment))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def brief(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], AbstractContextManager[Stack]]:
    """Return what runs three edges whose tokens end after so many seconds."""

    @contextmanager
    def local(token_s: int) -> Iterator[Stack]:
        environment = {"PETIT_LOCAL_TOKEN_S": str(token_s)}
        stack = LocalStack(tmp_path_factory.mktemp("brief") / "data", processes=3, environment=environment)
        try:
            stack.start()
            yield stack
        finally:
            stack.close()

    return request.getfixturevalue("real_stack").brief if _is_real(request) else local


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


def _is_real(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--stack") == "real")


def _shared(stack: LocalStack) -> Iterator[Stack]:
    try:
        stack.start()
        yield stack
        stopped = stack.stop()
        assert stopped.status == 0
        assert stopped.took_s < STOP_S
        assert "Traceback" not in stack.logged()
    finally:
        stack.close()
