"""`./petit` installs when it has to, once, and says what is missing; shown with a Python and a uv that only pretend."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.tree import ROOT

# The pretended Python makes folders instead of environments, and the pretended uv writes down that it ran.
PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) exit {too_old} ;;
    *ensurepip*) exit {no_venv} ;;
    *fcntl*) exec {python} "$@" ;;
    "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
    "-m pip install"*) cp {here}/uv "$(dirname "$0")/uv" ;;
    --version) echo "Python 3.9.2" ;;
    *) printf '%s\\n' "pid $$" "cwd $PWD" "$@" ;;
esac
"""
UV = """#!/bin/sh
[ "$1" = --version ] && echo "uv {uv_version} (pretended)" && exit
echo "$*" >>{here}/syncs
sleep 0.2
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin" && cp {here}/bin/python3 "$UV_PROJECT_ENVIRONMENT/bin/python"
exit {sync_fails}
"""
LEFT_OUT = "not browser and not real and not k8s and not cluster"
"""What needs more than Python."""
TOOLS = ["sh", "cat", "cksum", "cp", "cut", "dirname", "head", "mkdir", "mv", "printf", "readlink", "rm", "sleep"]


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with `petit` and a lock, and a PATH with little on it."""

    here: Path

    @property
    def home(self) -> Path:
        """The checkout; its name has a space."""
        return self.here / "petit chat"

    def pretend(self, *, too_old: int = 0, no_venv: int = 0, sync_fails: int = 0) -> None:
        """Put the pretended programs in place; each flag is the exit code of the check by that name."""
        version = next(line for line in (ROOT / "petit").read_text().splitlines() if line.startswith("uv_version="))
        facts = {
            "too_old": too_old,
            "no_venv": no_venv,
            "sync_fails": sync_fails,
            "python": sys.executable,
            "here": self.here,
            "uv_version": version.partition("=")[2],
        }
        for path, text in ((self.here / "bin/python3", PYTHON), (self.here / "uv", UV)):
            path.write_text(text.format(**facts))
            path.chmod(0o755)

    def start(self, *arguments: str, cwd: Path | None = None, script: Path | None = None) -> subprocess.Popen[str]:
        """Start `petit`."""
        return subprocess.Popen(
            [script or self.home / "petit", *arguments],
            cwd=cwd or self.here,
            env={"PATH": str(self.here / "bin"), "LC_ALL": "C"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None, script: Path | None = None) -> tuple[int, list[str], str]:
        """Run `petit` to its end: exit code, lines of output, errors."""
        out, errors = (process := self.start(*arguments, cwd=cwd, script=script)).communicate(timeout=20)
        return process.returncode, out.splitlines(), errors

    def syncs(self) -> list[str]:
        """The arguments of every sync so far."""
        log = self.here / "syncs"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path)
    (tmp_path / "bin").mkdir()
    checkout.home.mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    shutil.copy(ROOT / "petit", checkout.home)
    (checkout.home / "uv.lock").write_text("version = 1\n")
    checkout.pretend()
    return checkout


def test_the_first_use_installs_without_the_developers_tools_and_says_so_in_one_line(checkout: Checkout) -> None:
    code, out, errors = checkout.run("up", "--port", "0")

    assert code == 0
    assert out[2:] == ["-m", "petit.cli", "up", "--port", "0"]
    assert errors.count("\n") == 1
    assert "making" in errors
    assert ["--frozen" in sync and "--no-dev" in sync for sync in checkout.syncs()] == [True]


def test_the_second_use_installs_nothing_and_says_nothing(checkout: Checkout) -> None:
    checkout.run("up")

    code, _, errors = checkout.run("up")

    assert (code, errors) == (0, "")
    assert len(checkout.syncs()) == 1


def test_a_new_lock_is_installed(checkout: Checkout) -> None:
    checkout.run("up")
    (checkout.home / "uv.lock").write_text("version = 2\n")

    checkout.run("up")

    assert len(checkout.syncs()) == 2


def test_a_moved_checkout_is_installed_anew(checkout: Checkout) -> None:
    checkout.run("up")
    old = checkout.home / ".venv/from-before"
    old.touch()
    moved = checkout.here / "elsewhere"
    checkout.home.rename(moved)

    code, _, _ = checkout.run("up", script=moved / "petit")

    assert code == 0
    assert len(checkout.syncs()) == 2
    assert not (moved / ".venv/from-before").exists()


def test_it_becomes_the_cli_with_the_callers_folder_and_arguments(checkout: Checkout) -> None:
    checkout.run()
    elsewhere = checkout.here / "some where"
    elsewhere.mkdir()
    link = checkout.here / "link"
    link.symlink_to(checkout.home / "petit")

    process = checkout.start("send", "two words", "", cwd=elsewhere, script=link)
    out, _ = process.communicate(timeout=20)

    assert out.split("\n")[:-1] == [
        f"pid {process.pid}",
        f"cwd {elsewhere}",
        "-m",
        "petit.cli",
        "send",
        "two words",
        "",
    ]


def test_two_at_once_install_once(checkout: Checkout) -> None:
    both = [checkout.start("up"), checkout.start("up")]

    outs = [process.communicate(timeout=20) for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert all("petit.cli" in out for out, _ in outs)
    assert len(checkout.syncs()) == 1


def test_an_install_that_failed_is_tried_again(checkout: Checkout) -> None:
    checkout.pretend(sync_fails=2)
    code, out, errors = checkout.run("up")
    assert (code, out) == (1, [])
    assert "could not make" in errors
    shutil.rmtree(checkout.home / ".uv")
    checkout.pretend()

    code, _, _ = checkout.run("up")

    assert code == 0


def test_tests_get_the_developers_tools_and_leave_out_what_needs_more(checkout: Checkout) -> None:
    checkout.run("up")

    code, out, _ = checkout.run("test", "-k", "two words")

    assert code == 0
    assert out[1:] == [f"cwd {checkout.home}", "-m", "pytest", "-m", LEFT_OUT, "-k", "two words"]
    assert "--no-dev" not in checkout.syncs()[-1]
    assert checkout.run("up")[2] == "", "a developer's install is a user's too"


@pytest.mark.parametrize("python3", ["missing", "too old"])
def test_it_says_which_python_it_needs(checkout: Checkout, python3: str) -> None:
    checkout.pretend(too_old=1)
    if python3 == "missing":
        (checkout.here / "bin/python3").unlink()

    code, out, errors = checkout.run("up")

    assert (code, out) == (1, [])
    assert "needs Python 3.11 or newer" in errors
    assert ("no python3" if python3 == "missing" else "Python 3.9.2") in errors
    assert not (checkout.home / ".venv").exists()


def test_it_says_that_the_venv_module_is_missing(checkout: Checkout) -> None:
    checkout.pretend(no_venv=1)

    code, out, errors = checkout.run("up")

    assert (code, out) == (1, [])
    assert "has no venv module" in errors.splitlines()[0]
    assert "apt-get install python3-venv" in errors
