"""What every test run has in common: hypothesis profiles, and no skipped test."""

import os

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True, database=None)
settings.register_profile("prove", deadline=None, max_examples=2_000)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped: what cannot run here is deselected by its marker, in the open."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = [*reporter.stats.get("skipped", []), *reporter.stats.get("xfailed", [])]
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(skipped)} tests were skipped: a test runs or is deselected, never skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
