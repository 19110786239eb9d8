"""What kustomize makes of changes: another bootstrap Job; of `prod` without a site, nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.k8s.building import ROOT, SECRETS, Manifest, Overlay, around, build, copied, tool
from tests.k8s.rules import OURS
from tests.k8s.workloads import of_kind

pytestmark = pytest.mark.k8s


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy to change things in."""
    return copied(tmp_path / "deploy")


def job(manifests: list[Manifest]) -> str:
    (one,) = of_kind(manifests, "Job")
    return str(one["metadata"]["name"])


def found(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    (one,) = (each for each in of_kind(manifests, kind) if each["metadata"]["name"] == name or not name)
    return one


def image(manifests: list[Manifest], kind: str, name: str = "") -> str:
    return str(found(manifests, kind, name)["spec"]["template"]["spec"]["containers"][0]["image"])


def test_another_release_is_another_bootstrap_job_because_jobs_cannot_be_changed(
    own: Path, built: dict[Overlay, list[Manifest]]
) -> None:
    kustomization = own / "dev/kustomization.yaml"
    kustomization.write_text(
        kustomization.read_text().replace("images:\n", "images:\n  - {name: petit/cli, newTag: another}\n")
    )

    made = build(own / "dev")

    assert image(made, "Job") == "petit/cli:another"
    assert job(made) != job(built["dev"])


def test_another_release_is_another_bootstrap_job_in_a_kustomization_around_production(own: Path) -> None:
    site = own / "prod/site/site.env"
    example = site.read_text().replace("REGISTRY=registry.example.org/petit", "REGISTRY=registry:5000/our/petit")

    def release(tag: str) -> list[Manifest]:
        site.write_text(example.replace("TAG=0.1.0", f"TAG={tag}"))
        return around(own)

    first, second, again = release("1.0.0"), release("1.1.0"), release("1.0.0")

    assert image(first, "Job") == "registry:5000/our/petit/cli:1.0.0"
    assert image(second, "Job") == "registry:5000/our/petit/cli:1.1.0"
    assert image(second, "Deployment", "gateway") == "registry:5000/our/petit/gateway:1.1.0"
    assert job(first) != job(second)
    assert job(first) == job(again)


def test_other_settings_are_another_bootstrap_job(own: Path, built: dict[Overlay, list[Manifest]]) -> None:
    settings = own / "../base/settings/bootstrap.env"
    settings.write_text(settings.read_text().replace("REPLICAS=3", "REPLICAS=5"))

    assert job(build(own / "dev")) != job(built["dev"])


def test_the_same_once_more_is_the_same_bootstrap_job(own: Path, built: dict[Overlay, list[Manifest]]) -> None:
    assert job(build(own / "dev")) == job(built["dev"])


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_all_of_ours_are_of_one_release(overlay: Overlay, built: dict[Overlay, list[Manifest]]) -> None:
    ours = [image(built[overlay], "Job"), *(image(built[overlay], "Deployment", name) for name in OURS)]

    assert len({(at.rpartition("/")[0], at.rpartition(":")[2]) for at in ours}) == 1


@pytest.mark.parametrize(
    "line", ["REGISTRY", "TAG", "ORIGIN", "PODS", "ISSUER", "NATS_URL", "LOG_MAX_BYTES", "CQL_HOSTS", "CQL_PORT"]
)
def test_production_is_not_built_without_a_line_of_the_site(line: str, own: Path) -> None:
    site = own / "prod/site/site.env"
    site.write_text("\n".join(each for each in site.read_text().splitlines() if not each.startswith(f"{line}=")))

    done = subprocess.run([tool("kustomize"), "build", own / "prod"], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert f"data.{line}" in done.stderr


@pytest.mark.parametrize("missing", ["site.env", "nats-users.env", "realm.env", "cql.env", "nats-ca.crt", "cql-ca.crt"])
def test_production_is_not_built_without_what_a_site_must_fill_in(missing: str, own: Path) -> None:
    (own / "prod/site" / missing).unlink()

    done = subprocess.run([tool("kustomize"), "build", own / "prod"], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert missing in done.stderr


def test_production_has_no_secret_of_its_own() -> None:
    overlays = ROOT / "deploy/k8s/overlays"
    texts = [(overlays / file.replace("/site/", "/example/")).read_text() for file in SECRETS]

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
    assert settings["PETIT_GATEWAY_TRUSTED_PROXIES"] == '["10.244.0.0/16"]'
    assert settings["PETIT_BOOTSTRAP_CQL_PORT"] == settings["PETIT_CHAT_CQL_PORT"] == "9142"
    assert {"name": "PETIT_PROXY_ISSUER", "value": "https://sso.example.org/realms/petit"} in container["env"]
    assert {"name": "PETIT_PROXY_TRUSTED", "value": "10.244.0.0/16"} in container["env"]
    assert [value for value in settings.values() if value in {"", '["origin"]'}] == []


def test_production_shows_the_database_a_certificate_where_it_wants_one(
    own: Path, built: dict[Overlay, list[Manifest]]
) -> None:
    made = around(own, "components: [../../components/cql-client]\n")

    settings = {key: value for config in of_kind(made, "ConfigMap") for key, value in config["data"].items()}
    assert job(made) != job(built["prod"])
    for service, kind, name in (("CHAT", "Deployment", "chat"), ("BOOTSTRAP", "Job", "")):
        pod = found(made, kind, name)["spec"]["template"]["spec"]
        (mount,) = (mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "cql-client")
        assert {"name": "cql-client", "secret": {"secretName": "cql-client"}} in pod["volumes"]
        assert settings[f"PETIT_{service}_CQL_CERT"] == f"{mount['mountPath']}/tls.crt"
        assert settings[f"PETIT_{service}_CQL_KEY"] == f"{mount['mountPath']}/tls.key"


@pytest.mark.parametrize("file", SECRETS)
def test_the_site_itself_is_never_committed(file: str) -> None:
    ignored = subprocess.run(
        [shutil.which("git") or "git", "check-ignore", f"deploy/k8s/overlays/{file}"], cwd=ROOT, check=False
    )

    assert ignored.returncode == 0
