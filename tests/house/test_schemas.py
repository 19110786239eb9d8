"""The schemas in the tree are what the code says today."""

import pytest

from tests.house.schemas import SCHEMAS, text
from tests.house.tree import ROOT


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_in_the_tree_is_fresh(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == text(SCHEMAS[name]()), "stale: run `just schemas`"
