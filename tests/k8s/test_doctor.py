"""The doctor's Job: it is told what the services are told, and applied beside them without touching them."""

import re
from pathlib import Path

import pytest

from tests.k8s.building import ROOT, Manifest, Overlay, build, copied
from tests.k8s.workloads import Workload, of_kind, selects, workloads

pytestmark = pytest.mark.k8s

CHOSEN = {"matchLabels": {"app.kubernetes.io/name": "doctor"}}
"""What `kubectl apply --selector` takes."""


def doctor(manifests: list[Manifest]) -> Workload:
    (found,) = (workload for workload in workloads(manifests, "Job") if workload.app == "doctor")
    return found


def settings(manifests: list[Manifest]) -> dict[str, str]:
    """Return all settings of all services."""
    return {key: value for config in of_kind(manifests, "ConfigMap") for key, value in config["data"].items()}


def test_it_is_told_what_the_services_are_told(built: dict[Overlay, list[Manifest]]) -> None:
    told = settings(built["doctor"])

    assert [key for key, value in told.items() if key.startswith("PETIT_DOCTOR_") and not value] == []
    for own, theirs in {
        "NATS_URL": "GATEWAY_NATS_URL",
        "NATS_CA": "GATEWAY_NATS_CA",
        "REPLICAS": "BOOTSTRAP_REPLICAS",
        "LOG_MAX_BYTES": "BOOTSTRAP_LOG_MAX_BYTES",
        "CQL_HOSTS": "CHAT_CQL_HOSTS",
        "CQL_PORT": "CHAT_CQL_PORT",
        "CQL_DATACENTER": "CHAT_CQL_DATACENTER",
        "CQL_CA": "CHAT_CQL_CA",
        "ISSUER": "GATEWAY_ISSUER",
        "ADMIN_URL": "GATEWAY_ADMIN_URL",
    }.items():
        assert told[f"PETIT_DOCTOR_{own}"] == told[f"PETIT_{theirs}"], own
    (bootstrap,) = (workload for workload in workloads(built["doctor"], "Job") if workload.app == "bootstrap")
    assert doctor(built["doctor"]).containers[0]["image"] == bootstrap.containers[0]["image"]


def test_every_setting_is_one_that_it_has(built: dict[Overlay, list[Manifest]]) -> None:
    known = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE))
    variables = {variable["name"] for variable in doctor(built["doctor"]).containers[0]["env"]}
    own = {key for key in settings(built["doctor"]) if key.startswith("PETIT_DOCTOR_")}

    assert own | variables <= known
    assert {"NATS_OPERATOR_PASSWORD", "PETIT_DOCTOR_NATS_URL"} <= own | variables


@pytest.mark.parametrize("overlay", ["doctor", "new-epoch"])
def test_what_is_chosen_by_its_label_is_its_own_and_all_of_that(
    overlay: Overlay, built: dict[Overlay, list[Manifest]]
) -> None:
    def named(manifests: list[Manifest]) -> set[tuple[str, str]]:
        # A generated name ends in a hash of what is in it.
        return {(each["kind"], each["metadata"]["name"]) for each in manifests}

    chosen = [each for each in built[overlay] if selects(CHOSEN, each["metadata"].get("labels", {}))]

    assert named(chosen) == named(built[overlay]) - named(built["prod"])
    assert {kind for kind, _ in named(chosen)} == {"ConfigMap", "Job", "NetworkPolicy", "Secret", "ServiceAccount"}


def test_a_new_epoch_is_a_job_of_its_own_and_is_asked_for_in_words(built: dict[Overlay, list[Manifest]]) -> None:
    look, begin = doctor(built["doctor"]), doctor(built["new-epoch"])

    assert look.containers[0]["args"] == ["doctor", "--stack", "real"]
    assert begin.containers[0]["args"] == ["doctor", "--stack", "real", "--new-epoch"]
    assert look.name != begin.name


def test_it_shows_the_database_a_certificate_where_that_wants_one(tmp_path: Path) -> None:
    overlays = copied(tmp_path / "deploy")
    kustomization = overlays / "doctor/kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("# components:", "components:"))

    container = doctor(build(overlays / "doctor")).containers[0]

    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "cql-client")
    assert env["PETIT_DOCTOR_CQL_CERT"] == f"{mount['mountPath']}/tls.crt"
    assert env["PETIT_DOCTOR_CQL_KEY"] == f"{mount['mountPath']}/tls.key"
