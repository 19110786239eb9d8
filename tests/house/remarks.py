"""What no linter asks of a comment: that it gives its reason, and that nothing is put off or skipped in silence."""

import re
from collections.abc import Iterator
from pathlib import Path

_RULES = {
    "an ignore without a reason: `# noqa: CODE - reason`": re.compile(r"#\s*(noqa(?!: [A-Z]+\d+(, ?[A-Z]+\d+)* - \S))"),
    "an ignore without a code or a reason: `# type: ignore[code]  # reason`": re.compile(
        r"#\s*(type:\s*ignore(?!\[[a-z-]+(, ?[a-z-]+)*\]\s+# \S))"
    ),
    "an uncovered line without a reason: `# pragma: no cover - reason`": re.compile(
        r"#\s*(pragma: no (cover|branch)(?! - \S))"
    ),
    "a test that does not run: deselect it by a marker, in the open": re.compile(
        r"(pytest\.(skip|xfail|importorskip)\b|mark\.(skip|skipif|xfail)\b|unittest\.skip)"
    ),
    "something put off: open an issue and link it": re.compile(r"\b(TODO|FIXME|XXX)\b(?!.*https?://\S+/issues/\d+)"),
}
_TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".html", ".css", ".js", ".sh", ".sql"}


def files(root: Path, suffixes: set[str]) -> Iterator[Path]:
    """Files below a folder with one of the suffixes, leaving out what tools keep in dotted folders."""
    for path in sorted(root.rglob("*")):
        below = path.relative_to(root)
        if path.suffix in suffixes and not any(part.startswith(".") or part == "node_modules" for part in below.parts):
            yield path


def remarks(root: Path) -> Iterator[str]:
    """Faults in comments, each as `file:line: what is wrong`."""
    for path in files(root, _TEXT):
        if path.is_relative_to(root / "tests/house"):
            continue  # these spell what they look for
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for fault, pattern in _RULES.items():
                if pattern.search(line):
                    yield f"{path.relative_to(root)}:{number}: {fault}"
