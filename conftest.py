"""What every test run has in common: hypothesis profiles, nothing skipped, and what is left out said aloud."""

import os
from collections.abc import Sequence

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True, database=None)
settings.register_profile("prove", deadline=None, max_examples=2_000)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")

pytest_plugins = ["tests.prove.figures", "tests.prove.results", "tests.real.servers", "tests.real.stack"]
_NEEDS = {
    "browser": "Chromium",
    "real": "a Docker engine",
    "k8s": "kustomize and kubeconform",
    "cluster": "a Kubernetes cluster",
}
_left_out: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose what the end-to-end tests run on."""
    parser.addoption(
        "--stack",
        choices=("embedded", "real"),
        default="embedded",
        help="What tests/e2e runs on: `petit up`, or every service and server three times over in containers.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, in the open, what is about the other stack."""
    other = {"embedded": "containers", "real": "embedded"}[config.getoption("--stack")]
    about_other = [item for item in items if item.get_closest_marker(other)]
    if about_other:
        config.hook.pytest_deselected(items=about_other)
        items[:] = [item for item in items if item not in set(about_other)]


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Remember the tests that need more than Python and were left out."""
    _left_out.extend(item.nodeid for item in items if any(map(item.get_closest_marker, _NEEDS)))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped: what cannot run here is deselected by its marker, in the open."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = [*reporter.stats.get("skipped", []), *reporter.stats.get("xfailed", [])]
    if skipped:
        reporter.write_line(f"{len(skipped)} tests were skipped: a test runs or is deselected, never skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was left out."""
    chosen = config.getoption("markexpr")
    missing = [what for marker, what in _NEEDS.items() if f"not {marker}" in chosen]
    if _left_out and missing:
        terminalreporter.section(f"left out here: it needs {', '.join(missing)}")
        for name in _left_out:
            terminalreporter.write_line(name)
