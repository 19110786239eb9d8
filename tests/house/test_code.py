"""Code that the house style forbids is refused, by the tool that is there for it."""

from pathlib import Path

import pytest

from tests.house.remarks import remarks
from tests.house.tree import ROOT, Verdict, copy

REFUSED_BY_RUFF = {
    "a function without docstring": ("def wave() -> None:\n    pass", "undocumented-public-function"),
    "a function without types": ('def wave(hand):\n    """Wave."""', "missing-type-function-argument"),
    "print": ('print("hello")', "print"),
    "a bare except": ("try:\n    import sys\nexcept:\n    pass", "bare-except"),
    "an exception swallowed": ("try:\n    import sys\nexcept Exception:\n    pass", "blind-except"),
    "an ignore without a code": ("import sys  # noqa", "blanket-noqa"),
    "a time without a zone": ("import datetime\n\nNOW = datetime.datetime.now()", "call-datetime-now-without-tzinfo"),
    "a relative import": ("from . import rules", "relative-imports"),
    "seven keywords": (
        'def wave(one: int, *, a: int, b: int, c: int, d: int, e: int, f: int, g: int) -> None:\n    """Wave."""',
        "too-many-arguments",
    ),
    "work put off": ("# TODO: wave", "line-contains-todo"),
}
REFUSED_BY_MYPY = {
    "a call with the wrong type": ("def wave(hand: int) -> None: ...\nwave('left')", "[arg-type]"),
    "a function without types": ("def wave(hand): ...", "[no-untyped-def]"),
    "a coroutine nobody awaits": (
        "async def wave() -> None: ...\nasync def go() -> None:\n    wave()",
        "[unused-coroutine]",
    ),
    "a match that forgets a case": (
        "def wave(hand: bool) -> None:\n    match hand:\n        case True:\n            pass",
        "[exhaustive-match]",
    ),
    "an ignore without a code": ("wave: int = 'left'  # type: ignore", "[ignore-without-code]"),
    "a field that a model does not have": (
        "import pydantic\nclass Wave(pydantic.BaseModel):\n    hand: str\nWave(hand='left', foot='right')",
        "[call-arg]",
    ),
}
REFUSED_REMARKS = {
    "an ignore without a reason": ("import sys  # noqa: F401", "noqa"),
    "a type ignored without a reason": ("wave: int = 'left'  # type: ignore[assignment]", "type: ignore"),
    "a skipped test": ("@pytest.mark.skip\ndef test_wave() -> None: ...", "deselect"),
    "work put off": ("# FIXME: wave back", "open an issue"),
}


@pytest.mark.parametrize(("source", "rule"), REFUSED_BY_RUFF.values(), ids=REFUSED_BY_RUFF)
def test_ruff_refuses(tmp_path: Path, source: str, rule: str) -> None:
    tree = copy(tmp_path / "tree")
    tree.plant("petit.contracts.planted", source)

    verdict = tree.ruff("contracts/src/petit/contracts/planted.py")

    assert not verdict.accepted
    assert f" {rule}: " in verdict.says


def test_ruff_refuses_a_folder_that_import_linter_would_not_see(tmp_path: Path) -> None:
    tree = copy(tmp_path / "tree")
    tree.plant("petit.chat.folder_without_init.planted", "")

    verdict = tree.ruff("services/chat/src/petit/chat/folder_without_init")

    assert not verdict.accepted
    assert " implicit-namespace-package: " in verdict.says


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    """All the wrong types in one run, because a run costs seconds."""
    tree = copy(tmp_path_factory.mktemp("types") / "tree")
    for number, (source, _) in enumerate(REFUSED_BY_MYPY.values()):
        tree.plant(f"petit.contracts.planted_{number}", source)
    return tree.python("-m", "mypy", "--cache-dir=/dev/null", "--no-pretty", "contracts/src")


@pytest.mark.parametrize("claim", REFUSED_BY_MYPY)
def test_mypy_refuses(types: Verdict, claim: str) -> None:
    number = list(REFUSED_BY_MYPY).index(claim)
    complaints = [part for part in types.says.split("contracts/src/petit/contracts/") if "error:" in part]

    assert not types.accepted
    assert any(part.startswith(f"planted_{number}.py") and REFUSED_BY_MYPY[claim][1] in part for part in complaints)


@pytest.mark.parametrize(("source", "fault"), REFUSED_REMARKS.values(), ids=REFUSED_REMARKS)
def test_the_house_refuses(tmp_path: Path, source: str, fault: str) -> None:
    tree = copy(tmp_path / "tree")
    tree.plant("petit.contracts.planted", source)

    faults = [fault for fault in remarks(tree.root) if "planted.py" in fault]

    assert len(faults) == 1
    assert fault in faults[0]


def test_every_ignore_in_the_tree_gives_its_reason_and_nothing_is_put_off() -> None:
    assert list(remarks(ROOT)) == []
