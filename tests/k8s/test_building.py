"""What kustomize makes of changes: another bootstrap Job; of `prod` without a site, nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.k8s.building import ROOT, Manifest, Overlay, build, copied, tool
from tests.k8s.workloads import of_kind

pytestmark = pytest.mark.k8s


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy to change things in."""
    return copied(tmp_path / "deploy")


def job(manifests: list[Manifest]) -> str:
    (found,) = of_kind(manifests, "Job")
    return str(found["metadata"]["name"])


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_another_release_is_another_bootstrap_job_because_jobs_cannot_be_changed(
    overlay: Overlay, own: Path, built: dict[Overlay, list[Manifest]]
) -> None:
    kustomization = own / overlay / "kustomization.yaml"
    images = "images:\n  - {name: petit/cli, newTag: another}\n"
    text = kustomization.read_text()
    kustomization.write_text(
        text.replace("images:\n", images) if "images:\n" in text else text.replace("patches:\n", f"{images}patches:\n")
    )

    made = build(own / overlay)

    assert of_kind(made, "Job")[0]["spec"]["template"]["spec"]["containers"][0]["image"] == "petit/cli:another"
    assert job(made) != job(built[overlay])


def test_other_settings_are_another_bootstrap_job(own: Path, built: dict[Overlay, list[Manifest]]) -> None:
    settings = own / "../base/settings/bootstrap.env"
    settings.write_text(settings.read_text().replace("REPLICAS=3", "REPLICAS=5"))

    assert job(build(own / "dev")) != job(built["dev"])


def test_the_same_once_more_is_the_same_bootstrap_job(own: Path, built: dict[Overlay, list[Manifest]]) -> None:
    assert job(build(own / "dev")) == job(built["dev"])


@pytest.mark.parametrize("missing", ["site.env", "nats-users.env", "realm.env", "cql.env", "nats-ca.crt", "cql-ca.crt"])
def test_production_is_not_built_without_what_a_site_must_fill_in(missing: str, own: Path) -> None:
    (own / "prod/site" / missing).unlink()

    done = subprocess.run([tool("kustomize"), "build", own / "prod"], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert missing in done.stderr


def test_production_has_no_secret_of_its_own() -> None:
    example = ROOT / "deploy/k8s/overlays/prod/example"
    texts = [(example / file).read_text() for file in ("nats-users.env", "realm.env", "cql.env")]

    assert [line for text in texts for line in text.splitlines() if not line.startswith("#")] == []


def test_development_s_secrets_say_what_they_are() -> None:
    files = list((ROOT / "deploy/k8s/overlays/dev/secrets").glob("*.env"))

    values = [line for file in files for line in file.read_text().splitlines() if "PASSWORD=" in line]

    assert values
    assert [line for line in values if "=devonly" not in line] == []


def test_what_a_site_fills_in_reaches_everybody_who_needs_it(built: dict[Overlay, list[Manifest]]) -> None:
    settings: dict[str, str] = {}
    for config in of_kind(built["prod"], "ConfigMap"):
        settings |= config["data"]
    (ingress,) = of_kind(built["prod"], "Ingress")
    (proxy,) = (each for each in of_kind(built["prod"], "Deployment") if each["metadata"]["name"] == "proxy")
    (container,) = proxy["spec"]["template"]["spec"]["containers"]

    assert ingress["spec"]["rules"][0]["host"] == ingress["spec"]["tls"][0]["hosts"][0] == "chat.example.org"
    assert settings["PETIT_GATEWAY_ORIGINS"] == settings["PETIT_NOTIFIER_ORIGINS"] == '["https://chat.example.org"]'
    assert (
        settings["PETIT_GATEWAY_ISSUER"] == settings["PETIT_NOTIFIER_ISSUER"] == "https://sso.example.org/realms/petit"
    )
    assert settings["PETIT_GATEWAY_SIGNUP"] == "false"
    assert {"name": "PETIT_PROXY_ISSUER", "value": "https://sso.example.org/realms/petit"} in container["env"]
    assert {"name": "PETIT_PROXY_TRUSTED", "value": "10.244.0.0/16"} in container["env"]
    assert [value for value in settings.values() if value in {"", '["origin"]'}] == []


def test_the_site_itself_is_never_committed() -> None:
    ignored = subprocess.run(
        [shutil.which("git") or "git", "check-ignore", "deploy/k8s/overlays/prod/site/cql.env"], cwd=ROOT, check=False
    )

    assert ignored.returncode == 0
