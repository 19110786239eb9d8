"""Finds the links in Markdown files that lead nowhere: to no file, or to no heading of it."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from tests.house.remarks import files

_FENCE = re.compile(r"^( {0,3})(```+|~~~+).*?^ {0,3}\2[`~]*[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_INLINE = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_ANCHOR = re.compile(r"<[^>]*\b(?:id|name)=\"([^\"]+)\"")


def anchors(text: str) -> set[str]:
    """Names that a `#fragment` may lead to in a Markdown text, by GitHub's rules."""
    text = _FENCE.sub("", text)
    seen: Counter[str] = Counter()
    names = set(_ANCHOR.findall(text))
    for heading in _HEADING.findall(text):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        names.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return names


def _links(text: str) -> Iterator[str]:
    prose = _CODE.sub("", _FENCE.sub("", text))
    yield from _INLINE.findall(prose)
    yield from _REFERENCE.findall(prose)


def dead_links(root: Path) -> Iterator[str]:
    """Relative links that lead nowhere, each as `file: link`."""
    for page in files(root, {".md"}):
        for link in _links(page.read_text(encoding="utf-8")):
            if _ELSEWHERE.match(link):
                continue
            path, _, fragment = unquote(link).partition("#")
            start = root if path.startswith("/") else page.parent
            target = start / path.lstrip("/") if path else page
            inside = target.resolve().is_relative_to(root.resolve())
            if (
                not inside
                or not target.exists()
                or (fragment and target.suffix == ".md" and fragment not in anchors(target.read_text(encoding="utf-8")))
            ):
                yield f"{page.relative_to(root)}: {link}"
