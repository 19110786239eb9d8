"""Writes what `just prove` has shown into docs/proofs.md: one section a proof, those that were not run stay.

A section says what is claimed (the test's docstring), how many cases hold, how long they took, what was measured
on the way, and the day and commit of the run.
"""

import datetime as dt
import platform
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.scale import FULL
from tests.prove.figures import FIGURES

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "proofs.md"
_HEAD: Final = """# Proofs

Written by `just prove`, which runs every proof in full; CI runs the same tests in a short form. What they mean is told
in [reliability](reliability.md).
"""
_MARK: Final = "\n## "
_MINUTE_S: Final = 60


@dataclass(slots=True)
class Proof:
    """What one test function has shown so far."""

    claim: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    took_s: float = 0.0
    figures: list[str] = field(default_factory=list)

    def told(self, *, when: str) -> str:
        """Return its section, without the name."""
        cases = self.passed + len(self.failed)
        lines = [self.claim, "", f"{self.passed} of {cases} cases hold; {_duration(self.took_s)}; {when}."]
        lines += [f"* FAILED: {name}" for name in self.failed]
        lines += [f"* {figure}" for figure in self.figures]
        return "\n".join(lines).strip()


def pytest_configure(config: pytest.Config) -> None:
    """Write down what a full run shows."""
    if FULL:
        config.pluginmanager.register(Results())


class Results:
    """A pytest plugin that keeps and writes what was shown."""

    def __init__(self, page: Path = PAGE) -> None:
        self._page = page
        self._claims: dict[str, str] = {}
        self._proofs: defaultdict[str, Proof] = defaultdict(lambda: Proof(claim=""))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Learn what is claimed."""
        for item in items:
            doc = getattr(getattr(item, "function", None), "__doc__", None) or ""
            self._claims[_name(item.nodeid)] = doc.strip().partition("\n")[0]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a case."""
        proof = self._proofs[_name(report.nodeid)]
        proof.claim = self._claims.get(_name(report.nodeid), "")
        proof.took_s += report.duration
        if report.failed:
            proof.failed.append(report.nodeid.rpartition("::")[2])
        elif report.when == "call":
            proof.passed += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page."""
        for nodeid, figure in session.config.stash.get(FIGURES, []):
            case = nodeid.partition("[")[2].rstrip("]")
            self._proofs[_name(nodeid)].figures.append(f"{case}: {figure}" if case else figure)
        self.write(when=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {_commit()}, Python {platform.python_version()}")

    def write(self, *, when: str) -> None:
        """Put the sections of this run in the place of earlier ones."""
        sections = dict[str, str]()
        if self._page.exists():
            for section in self._page.read_text().split(_MARK)[1:]:
                name, _, told = section.partition("\n\n")
                sections[name.strip("`")] = told.strip()
        sections |= {name: proof.told(when=when) for name, proof in self._proofs.items()}
        listed = (f"## `{name}`\n\n{sections[name]}\n" for name in sorted(sections))
        self._page.write_text("\n".join([_HEAD, *listed]))


def _name(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _commit() -> str:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
