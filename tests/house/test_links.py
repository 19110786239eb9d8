"""The documentation's links lead somewhere, and the checker would see it if they did not."""

from pathlib import Path

import pytest

from tests.house.links import anchors, dead_links
from tests.house.tree import ROOT


def test_every_link_in_the_tree_leads_somewhere() -> None:
    assert list(dead_links(ROOT)) == []


@pytest.mark.parametrize(
    "link",
    [
        "[other](other.md)",
        "[heading](other.md#two-words)",
        "[the second of a name](other.md#twice-1)",
        "[here](#here)",
        "[a folder](folder)",
        "[from the root](/other.md)",
        "[elsewhere](https://example.org/missing.md)",
        "`[code](missing.md)`",
        "```\n[code](missing.md)\n```",
    ],
)
def test_a_good_link_passes(tmp_path: Path, link: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.md").write_text("# Two words\n\n## Twice\n\n## Twice\n")
    (tmp_path / "page.md").write_text(f"# Here\n\n{link}\n")

    assert list(dead_links(tmp_path)) == []


@pytest.mark.parametrize(
    "link",
    [
        "[a missing file](missing.md)",
        "[a missing heading](other.md#three-words)",
        "[a missing heading here](#there)",
        "![a missing picture](picture.png)",
        "[out of the tree](../outside.md)",
        "[a reference]\n\n[a reference]: missing.md",
    ],
)
def test_a_dead_link_is_found(tmp_path: Path, link: str) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (tmp_path / "outside.md").write_text("# Outside\n")
    (root / "other.md").write_text("# Two words\n")
    (root / "page.md").write_text(f"# Here\n\n{link}\n")

    assert len(list(dead_links(root))) == 1


def test_headings_become_anchors_as_on_github() -> None:
    text = "# The log & the *feed*\n## `just check`\n## [Linked](x.md) words\n"

    assert anchors(text) == {"the-log--the-feed", "just-check", "linked-words"}
