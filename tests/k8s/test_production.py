"""`prod` against a real API server: all of it is taken, and nothing is warned of."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.k8s.building import Manifest, build, dumped
from tests.k8s.kubectl import kubectl, run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

TRIAL = "petit-trial"


@pytest.fixture(scope="module")
def prod(overlays: Path) -> Iterator[list[Manifest]]:
    """Its manifests for a namespace of their own, which is there and restricted."""
    trial = overlays / "trial"
    trial.mkdir()
    (trial / "kustomization.yaml").write_text(f"namespace: {TRIAL}\nresources: [../prod]\n")
    manifests = build(trial)
    (namespace,) = (each for each in manifests if each["kind"] == "Namespace")
    assert namespace["metadata"]["name"] == TRIAL
    kubectl("apply", "--filename", "-", text=json.dumps(namespace))
    try:
        yield manifests
    finally:
        kubectl("delete", "namespace", TRIAL, "--wait=false")


def tried(manifests: list[Manifest]) -> str:
    """Return why the server does not take these, or what it warns of; empty: it takes them."""
    words = ("apply", "--server-side", "--dry-run=server", "--warnings-as-errors", "--filename", "-")
    done = run(*words, text=dumped(manifests))
    return "" if done.returncode == 0 else done.stderr


def test_the_server_takes_all_of_it_without_a_warning(prod: list[Manifest]) -> None:
    assert tried(prod) == ""


def test_the_server_warns_of_a_pod_that_is_not_restricted(prod: list[Manifest]) -> None:
    (gateway,) = (
        each
        for each in json.loads(json.dumps(prod))
        if each["kind"] == "Deployment" and each["metadata"]["name"] == "gateway"
    )
    gateway["spec"]["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True

    assert "would violate PodSecurity" in tried([gateway])
