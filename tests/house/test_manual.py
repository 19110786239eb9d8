"""The manual's commands that copy the read model and put it back, run on files in the place of a Cassandra."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = ("chat_state", "checkpoints", "members", "members_by_joining", "messages", "unannounced")

DOCKER = """\
#!{python}
\"\"\"`docker compose`, as the manual needs it. A copy says at which question it was made.\"\"\"
import pathlib, subprocess, sys
home = pathlib.Path({home!r})
words = sys.argv[1:]
if "nodetool" in words and "snapshot" in words:
    clock = home / "clock"
    now = int(clock.read_text()) + 1
    clock.write_text(str(now))
    only = words[words.index("--table") + 1] if "--table" in words else ""
    for table in (home / "data/petit").iterdir():
        if table.name.partition("-")[0] == only or not only:
            into = table / "snapshots" / words[words.index("--tag") + 1]
            into.mkdir(parents=True)  # fails where such a copy is, as nodetool does
            (into / "nb-1-big-Data.db").write_text(str(now))
            (into / "manifest.json").write_text("{{}}")
elif "sh" in words:
    script = words[-1].replace("/var/lib/cassandra", str(home))
    sys.exit(subprocess.run(["sh", "-ec", script]).returncode)
"""


@pytest.fixture
def manual() -> str:
    """What there is about one machine."""
    return (ROOT / "docs/operations/compose.md").read_text()


def between(text: str, first: str, last: str) -> str:
    """Return the commands from one heading among them to the next."""
    found = re.search(rf"^{re.escape(first)}.*?(?=^{re.escape(last)})", text, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, first
    return found[0]


def machine(folder: Path, *, copy: str) -> Path:
    """Make what has a `docker` and a Cassandra with all tables; how often it was asked is 0."""
    home = folder / copy
    for table in TABLES:
        (home / f"data/petit/{table}-{copy}").mkdir(parents=True)
        (home / f"data/petit/{table}-{copy}/nb-9-big-Data.db").write_text("before")
    (home / "commitlog").mkdir()
    (home / "commitlog/log").write_text("before")
    (home / "clock").write_text("0")
    docker = home / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(DOCKER.format(python=sys.executable, home=str(home)))
    docker.chmod(0o755)
    return home


def run(script: str, home: Path, *, cwd: Path) -> None:
    """Run commands of the manual on a machine."""
    path = f"{home}/bin:{os.environ['PATH']}"
    subprocess.run(["sh", "-ec", script], cwd=cwd, env={**os.environ, "PATH": path}, check=True, timeout=20)


def test_what_promises_the_other_tables_is_never_newer_than_they_in_a_restored_backup(
    manual: str, tmp_path: Path
) -> None:
    """A checkpoint stands for chats' rows, and they for all else: see docs/adr/0012-cql.md."""
    old, new = machine(tmp_path, copy="old"), machine(tmp_path, copy="new")

    run(between(manual, "# 2. The read model", "# 3. "), old, cwd=tmp_path)
    run(between(manual, "# The read model", "# The log"), new, cwd=tmp_path)

    tables = {
        folder.name.partition("-")[0]: {file.name: file.read_text() for file in folder.iterdir()}
        for folder in (new / "data/petit").iterdir()
    }
    assert {tuple(files) for files in tables.values()} == {("nb-1-big-Data.db",)}
    taken = {table: int(files["nb-1-big-Data.db"]) for table, files in tables.items()}
    others = [when for table, when in taken.items() if table not in {"checkpoints", "chat_state"}]
    assert taken["checkpoints"] < taken["chat_state"] < min(others)
    assert not list((new / "commitlog").iterdir())
    assert not (new / "restore").exists()


def test_a_copy_that_an_earlier_attempt_left_is_not_taken_for_a_new_one(manual: str, tmp_path: Path) -> None:
    old = machine(tmp_path, copy="old")
    (old / "data/petit/messages-old/snapshots/backup-3").mkdir(parents=True)

    run(between(manual, "# 2. The read model", "# 3. "), old, cwd=tmp_path)

    assert not (tmp_path / "cassandra.tar").exists()
