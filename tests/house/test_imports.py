"""Every kind of import that the layout forbids is refused, by the contract that is there for it."""

from pathlib import Path

import pytest

from tests.house.tree import LINT_IMPORTS, copy

REFUSED = {
    "a service importing another": (
        {"petit.gateway.handlers": "import petit.chat"},
        "petit.gateway is not allowed to import petit.chat",
    ),
    "kit importing a service": (
        {"petit.kit.planted": "import petit.notifier"},
        "petit.kit is not allowed to import petit.notifier",
    ),
    "the client importing kit": (
        {"petit.client.planted": "import petit.kit"},
        "petit.client is not allowed to import petit.kit",
    ),
    "a service importing the client": (
        {"petit.notifier.handlers": "import petit.client"},
        "petit.notifier is not allowed to import petit.client",
    ),
    "an end-to-end test importing a service": (
        {"tests.e2e.deep.planted": "import petit.chat"},
        "tests.e2e.deep.planted is not allowed to import petit.chat",
    ),
    "a package without a place in the layers": (
        {"petit.cli.planted": "", "petit.extra.planted": ""},
        "not listed as layers: - petit.extra",
    ),
    "an unknown file name in a service": (
        {"petit.chat.utils": ""},
        "not listed as layers: - petit.chat.utils",
    ),
    "a domain importing an adapter": (
        {"petit.chat.adapters": "", "petit.chat.domain": "import petit.chat.adapters"},
        "petit.chat.domain is not allowed to import petit.chat.adapters",
    ),
    "a handler importing an adapter": (
        {"petit.chat.adapters": "", "petit.chat.handlers": "import petit.chat.adapters"},
        "petit.chat.handlers is not allowed to import petit.chat.adapters",
    ),
    "HTTP importing an adapter": (
        {"petit.gateway.adapters": "", "petit.gateway.http": "import petit.gateway.adapters"},
        "Illegal imports of protected package petit.gateway.adapters",
    ),
    "a handler importing the settings": (
        {"petit.chat.settings": "", "petit.chat.handlers": "import petit.chat.settings"},
        "Illegal imports of protected package petit.chat.settings",
    ),
    "contracts importing NATS": (
        {"petit.contracts.planted": "import nats"},
        "petit.contracts.planted is pure and may not import nats",
    ),
    "a domain importing a database": (
        {"petit.chat.domain": "import sqlite3"},
        "is pure and may not import sqlite3",
    ),
    "a domain importing kit": (
        {"petit.notifier.domain": "import petit.kit"},
        "is pure and may not import petit.kit",
    ),
}


def test_the_tree_as_it_is_is_accepted(tmp_path: Path) -> None:
    verdict = copy(tmp_path / "tree").python(*LINT_IMPORTS)

    assert verdict.accepted, verdict.says
    assert "6 kept, 0 broken" in verdict.says


@pytest.mark.parametrize(("planted", "refusal"), REFUSED.values(), ids=REFUSED)
def test_the_linter_refuses(tmp_path: Path, planted: dict[str, str], refusal: str) -> None:
    tree = copy(tmp_path / "tree")
    for module, source in planted.items():
        tree.plant(module, source)

    verdict = tree.python(*LINT_IMPORTS)

    assert not verdict.accepted
    assert refusal in verdict.says
