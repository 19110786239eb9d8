"""A copy of the tree, in which tests do what the house has to refuse."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEMBERS = ["contracts", "kit", "services/gateway", "services/chat", "services/notifier", "clients/python", "cli"]
HOMES = {f"petit.{member.split('/')[-1].replace('python', 'client')}": f"{member}/src" for member in MEMBERS}
"""The folder from which each package is imported; everything else is imported from the root."""

PLUGINS = [
    *(
        "tests/e2e/scale.py",
        "tests/e2e/stack.py",
        "tests/e2e/waiting.py",
        "tests/prove/figures.py",
        "tests/prove/results.py",
    ),
    *(f"tests/real/{name}.py" for name in ("engine", "servers", "plan", "realm", "stack")),
]
"""What conftest.py loads."""

LINT_IMPORTS = ["-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo", "--no-cache"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a tool says about the tree."""

    accepted: bool
    says: str
    """All that it printed; runs of white space are one space, because tools wrap their lines."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The sources of every member and the tools' configuration, without the members' own tests."""

    root: Path

    def plant(self, module: str, source: str) -> None:
        """Add source to a module, which is made if it is not there; in a package, to a module `planted` of it."""
        home = HOMES.get(".".join(module.split(".")[:2]), ".")
        path = self.root / home / module.replace(".", "/")
        if path.is_dir():
            (path / "__init__.py").touch()
            path /= "planted.py"
        else:
            path = path.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else '"""Planted."""\n'
        path.write_text(f"{before}\n{source}\n")

    def python(self, *arguments: str) -> Verdict:
        """Run a Python tool that finds `petit` in this copy, and nowhere else."""
        # -S leaves out the .pth files that lead to the real tree.
        path = [*(str(self.root / member / "src") for member in MEMBERS), sysconfig.get_path("purelib")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "COLUMNS": "200"}
        return self._run([sys.executable, "-S", *arguments], environment)

    def ruff(self, path: str) -> Verdict:
        """Lint one file of the copy."""
        binary = Path(sys.executable).with_name("ruff")
        return self._run([str(binary), "check", "--no-cache", "--output-format=concise", path], dict(os.environ))

    def _run(self, command: list[str], environment: dict[str, str]) -> Verdict:
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=50, check=False
        )
        return Verdict(accepted=done.returncode == 0, says=re.sub(r"\s+", " ", done.stdout + done.stderr))


def copy(target: Path) -> Tree:
    """Copy what the tools read, to a folder that must not exist."""
    target.mkdir()
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, target)
    for member in MEMBERS:
        shutil.copytree(
            ROOT / member / "src",
            target / member / "src",
            ignore=lambda folder, names: [
                name for name in names if not name.endswith((".py", ".typed")) and not Path(folder, name).is_dir()
            ],
        )
    for plugin in PLUGINS:
        (target / plugin).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / plugin, target / plugin)
    shutil.copytree(ROOT / "tests/house", target / "tests/house", ignore=shutil.ignore_patterns("__pycache__"))
    return Tree(target)
