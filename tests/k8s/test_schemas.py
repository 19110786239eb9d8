"""kubeconform takes every overlay, strictly, by what a real API server says of itself; and it refuses what is wrong."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.k8s.building import OVERLAYS, Manifest, Overlay, dumped, tool

pytestmark = pytest.mark.k8s

SCHEMAS = f"{Path(__file__).with_name('schemas')}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"


def refused(text: str) -> str:
    """Return what kubeconform says; empty: nothing is wrong."""
    done = subprocess.run(
        [tool("kubeconform"), "-strict", "-schema-location", SCHEMAS],
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode == 0) == (done.stdout + done.stderr == ""), done
    return done.stdout + done.stderr


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_field_is_one_that_kubernetes_knows(overlay: Overlay, built: dict[Overlay, list[Manifest]]) -> None:
    assert refused(dumped(built[overlay])) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.template.spec.containers.0.readinessProbe.periodSecond", 1),
        ("spec.template.spec.containers.0.ports.0.containerPort", "many"),
        ("spec.template.spec.tolerations", {"key": "x"}),
        ("spec.strategy.rollingUpdate.maxSurge", [1]),
        ("spec.replica", 2),
    ],
)
def test_a_field_that_kubernetes_does_not_know_is_refused(path: str, value: object, dev: list[Manifest]) -> None:
    parent: Any = next(each for each in dev if each["kind"] == "Deployment")
    *keys, last = path.split(".")
    for key in keys:
        parent = parent[int(key) if key.isdigit() else key]
    parent[last] = value

    assert last in refused(dumped(dev))


def test_a_kind_that_has_gone_is_refused(dev: list[Manifest]) -> None:
    budget = next(each for each in dev if each["kind"] == "PodDisruptionBudget")
    budget["apiVersion"] = "policy/v1beta1"

    assert "PodDisruptionBudget" in refused(dumped(dev))
