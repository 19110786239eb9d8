"""What kustomize makes of the overlays, with the tools that are there."""

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = Path(os.environ.get("PETIT_K8S", Path(tempfile.gettempdir(), "petit-k8s")), "bin")
"""Where `tests/k8s/cluster tools` puts what is not on PATH."""
AUTHORITY: Final = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"
SECRETS: Final = ("prod/site/nats-users.env", "prod/site/realm.env", "prod/site/cql.env", "doctor/site/doctor.env")
"""Files whose every line a site fills in."""
_BUILD_S: Final = 60

Overlay = Literal["dev", "prod", "doctor", "new-epoch"]
OVERLAYS: Final[tuple[Overlay, ...]] = get_args(Overlay)
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


def around(overlays: Path, text: str = "") -> list[Manifest]:
    """Return what a kustomization of a site's own, around `prod`, makes; it is written beside it.

    Raises:
        AssertionError: kustomize refuses it.
    """
    folder = overlays / "around"
    folder.mkdir(exist_ok=True)
    (folder / "kustomization.yaml").write_text(f"namespace: petit\nresources: [../prod]\n{text}")
    return build(folder)


def copied(target: Path) -> Path:
    """Copy `deploy` to a folder that must not exist, with sites made up where one is asked for; return the overlays."""
    shutil.copytree(ROOT / "deploy", target, ignore=shutil.ignore_patterns("site", "docker"))
    overlays = target / "k8s/overlays"
    for example in overlays.glob("*/example"):
        shutil.copytree(example, example.with_name("site"))
    site = overlays / "prod/site"
    for file in SECRETS:
        lines = (overlays / file).read_text().splitlines()
        values = [f"{line[1:]}{secrets.token_hex(8)}" for line in lines if line.startswith("#") and line.endswith("=")]
        assert values, f"{file} names no secret"
        (overlays / file).write_text("\n".join(values) + "\n")
    for file in ("nats-ca.crt", "cql-ca.crt"):
        (site / file).write_text(AUTHORITY)
    return overlays


def dumped(manifests: list[Manifest]) -> str:
    """Return manifests as one YAML text."""
    return yaml.safe_dump_all(manifests)
