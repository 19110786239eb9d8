"""What kustomize makes of the overlays, with the tools that are there."""

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, Literal

import yaml

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = Path(os.environ.get("PETIT_K8S", Path(tempfile.gettempdir(), "petit-k8s")), "bin")
"""Where `tests/k8s/cluster tools` puts what is not on PATH."""
AUTHORITY: Final = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"
_BUILD_S: Final = 60

Overlay = Literal["dev", "prod"]
Manifest = dict[str, Any]


def tool(name: str) -> str:
    """Return the path of a program: from PATH, else of those that `tests/k8s/cluster tools` has built.

    Raises:
        AssertionError: it is in neither.
    """
    found = shutil.which(name) or shutil.which(name, path=TOOLS)
    assert found, f"{name} is neither on PATH nor in {TOOLS}: run `tests/k8s/cluster tools`"
    return found


def build(folder: Path) -> list[Manifest]:
    """Return the manifests of a folder that has a kustomization.

    Raises:
        AssertionError: kustomize refuses it.
    """
    done = subprocess.run(
        [tool("kustomize"), "build", str(folder)], capture_output=True, text=True, timeout=_BUILD_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def copied(target: Path) -> Path:
    """Copy `deploy` to a folder that must not exist, with a site made up for `prod`; return its `k8s/overlays`."""
    shutil.copytree(ROOT / "deploy", target, ignore=shutil.ignore_patterns("site", "docker"))
    prod = target / "k8s/overlays/prod"
    site = prod / "site"
    shutil.copytree(prod / "example", site)
    for file in ("nats-users.env", "realm.env", "cql.env"):
        lines = (site / file).read_text().splitlines()
        values = [f"{line[1:]}{secrets.token_hex(8)}" for line in lines if line.startswith("#") and line.endswith("=")]
        assert values, f"example/{file} names no secret"
        (site / file).write_text("\n".join(values) + "\n")
    for file in ("nats-ca.crt", "cql-ca.crt"):
        (site / file).write_text(AUTHORITY)
    return target / "k8s/overlays"


def dumped(manifests: list[Manifest]) -> str:
    """Return manifests as one YAML text."""
    return yaml.safe_dump_all(manifests)
