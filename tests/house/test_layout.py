"""The shape of the tree, as far as no linter knows it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
MEMBERS = ["contracts", "kit", "services/gateway", "services/chat", "services/notifier", "clients/python", "cli"]


def test_petit_is_a_namespace_that_every_member_shares() -> None:
    taken = [str(path) for member in MEMBERS for path in (ROOT / member).glob("src/petit/__init__.py")]

    assert taken == [], "one `petit/__init__.py` hides all the other members"


def test_every_package_tells_type_checkers_that_it_is_typed() -> None:
    packages = [
        package for member in MEMBERS for package in (ROOT / member / "src/petit").iterdir() if package.is_dir()
    ]

    untyped = [str(package) for package in packages if not (package / "py.typed").exists()]

    assert untyped == []
