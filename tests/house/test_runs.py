"""A test run that hides something fails: a skip, a warning, an unknown marker, a test that hangs."""

from pathlib import Path

import pytest

from tests.house.tree import Verdict, copy

REFUSED = {
    "skips": ("import pytest\n\ndef test_wave():\n    pytest.skip('later')", "never skipped"),
    "skips a whole file": ("import pytest\n\npytest.importorskip('no_such_module')", "never skipped"),
    "warns": ("import warnings\n\ndef test_wave():\n    warnings.warn('old')", "UserWarning: old"),
    "forgets to await": (
        "async def fall(): ...\n\ndef test_wave():\n    fall()",
        "coroutine 'fall' was never awaited",
    ),
    "uses an unknown marker": (
        "import pytest\n\n@pytest.mark.wave\ndef test_wave(): ...",
        "'wave' not found in `markers`",
    ),
    "hangs": ("import time\n\ndef test_wave():\n    time.sleep(50)", "Timeout"),
}


def _run(tmp_path: Path, source: str, *arguments: str) -> Verdict:
    tree = copy(tmp_path / "tree")
    tree.plant("tests.test_planted", source)
    return tree.python("-m", "pytest", "--timeout=1", "-p", "no:cacheprovider", *arguments, "tests/test_planted.py")


def test_a_run_in_which_all_is_well_passes(tmp_path: Path) -> None:
    verdict = _run(tmp_path, "async def test_wave(): ...")

    assert verdict.accepted, verdict.says


def test_a_run_without_browser_names_what_it_leaves_to_ci(tmp_path: Path) -> None:
    source = "import pytest\n\ndef test_wave(): ...\n\n@pytest.mark.browser\ndef test_window(): ..."

    verdict = _run(tmp_path, source, "-m", "not browser")

    assert verdict.accepted, verdict.says
    assert "left out here" in verdict.says
    assert "tests/test_planted.py::test_window" in verdict.says
    assert "1 passed, 1 deselected" in verdict.says


@pytest.mark.parametrize(("source", "refusal"), REFUSED.values(), ids=REFUSED)
def test_a_run_fails_that(tmp_path: Path, source: str, refusal: str) -> None:
    verdict = _run(tmp_path, source)

    assert not verdict.accepted
    assert refusal in verdict.says
