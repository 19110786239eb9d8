"""What `just prove` writes down is what it saw, and what it did not run stays as it was."""

from pathlib import Path

import pytest

from tests.prove.results import Results


def report(nodeid: str, *, outcome: str = "passed", when: str = "call") -> pytest.TestReport:
    """Return what pytest says of a phase of a test."""
    return pytest.TestReport(
        nodeid=nodeid,
        location=("", 0, ""),
        keywords={},
        outcome=outcome,  # type: ignore[arg-type]  # one of pytest's three words
        longrepr=None,
        when=when,  # type: ignore[arg-type]  # likewise
        duration=1.0,
    )


def test_a_page_tells_what_failed_and_keeps_what_was_not_run(tmp_path: Path) -> None:
    page = tmp_path / "proofs.md"
    first, second = Results(page), Results(page)
    for nodeid in ("t.py::one[1]", "t.py::one[2]", "t.py::two"):
        first.pytest_runtest_logreport(report(nodeid))
    first.write(when="on Monday")
    second.pytest_runtest_logreport(report("t.py::one[1]"))
    second.pytest_runtest_logreport(report("t.py::one[2]", outcome="failed"))
    second.pytest_runtest_logreport(report("t.py::one[3]", outcome="failed", when="setup"))
    second.write(when="on Tuesday")

    told = page.read_text()

    assert "## `t.py::one`\n\n1 of 3 cases hold; 3 s; on Tuesday.\n* FAILED: one[2]\n* FAILED: one[3]\n" in told
    assert "## `t.py::two`\n\n1 of 1 cases hold; 1 s; on Monday.\n" in told
    assert told.count("## ") == 2
