"""What tests measure on the way: shown at the end of a run, and kept with the proofs in a full one."""

from collections.abc import Callable
from typing import Final

import pytest

FIGURES: Final = pytest.StashKey[list[tuple[str, str]]]()
"""What was measured so far: the test's node id, and a line of text."""


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Report something measured."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda text: figures.append((request.node.nodeid, text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show what was measured."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("measured")
        for nodeid, text in figures:
            terminalreporter.write_line(f"{nodeid.rpartition('::')[2]}: {text}")
