"""nats-server takes what NATS' Helm chart makes of `nats-values.yaml`, and the container has all that it needs."""

import re
import subprocess
from pathlib import Path

import pytest

from petit.kit.natsserver import find_binary
from tests.k8s.building import ROOT
from tests.k8s.natschart import CONFIG, MOUNTED, VALUES, Values, configuration, container, pod, values
from tests.k8s.node.pki import Authority, named

ROUTES = "NATS_ROUTES"
CLUSTER = "NATS_CLUSTER_PASSWORD"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """What is mounted into the container below /etc."""
    for folder in ("nats-ca-cert", "nats-certs/nats", "nats-certs/cluster", "nats-config", "petit"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("nats", "cluster"):
        Authority(tmp_path / "nats-certs" / folder).sign("tls", named("nats"), hosts=["nats-0.nats-headless"])
    (tmp_path / "nats-certs/nats/ca.crt").rename(tmp_path / "nats-ca-cert/ca.crt")
    (cut,) = re.findall(r"#\s+(sed .*) >users\.conf", VALUES.read_text())
    users = subprocess.run(["sh", "-c", cut], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (tmp_path / "petit/users.conf").write_text(users)
    return tmp_path


def said(ours: Values, etc: Path) -> str:
    """Return what nats-server has against the configuration; empty: nothing."""
    users = (etc / "petit/users.conf").read_text()
    env = {name: f"p{index}secret" for index, name in enumerate(re.findall(r"\$(NATS_\w+)", users))}
    env |= {"SERVER_NAME": "nats-0", CLUSTER: "pcluster"}
    for variable in container(ours)["env"]:
        if "value" in variable:
            env[variable["name"]] = variable["value"].replace(f"$({CLUSTER})", env[CLUSTER])
    (etc / CONFIG).write_text(configuration(ours, etc=etc))
    done = subprocess.run(
        [find_binary(), "-t", "-c", etc / CONFIG], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_server_takes_the_configuration(etc: Path) -> None:
    assert said(values(), etc) == ""


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"$include": "/etc/petit/users.conf"}, "no such file"),
        ({"max_payload": "8MB"}, "is string, not int64"),
        ({"max_pending": "256MB"}, "is string, not int64"),
    ],
)
def test_the_server_refuses_what_the_chart_would_make_wrong(wrong: Values, complaint: str, etc: Path) -> None:
    ours = values()
    ours["config"]["merge"] |= wrong

    assert complaint in said(ours, etc)


def test_every_user_and_every_limit_is_that_of_the_servers_in_compose(etc: Path) -> None:
    ours, own = configuration(values(), etc=etc), (ROOT / "deploy/nats/nats.conf").read_text()

    assert "user: operator" in (etc / "petit/users.conf").read_text()
    for setting in ("max_payload", "max_pending", "ping_interval", "ping_max", "write_deadline"):
        assert _said(setting, ours) == _said(setting, own), setting
    assert _said("sync_interval", ours) == ["always"]


def test_the_nodes_know_one_another_by_the_password_that_they_ask_for() -> None:
    env = [variable["name"] for variable in container(values())["env"]]
    (routes,) = (variable["value"] for variable in container(values())["env"] if variable["name"] == ROUTES)

    assert env.index(CLUSTER) < env.index(ROUTES), "a variable is put into those after it only"
    assert re.findall(r"nats://cluster:\$\(NATS_CLUSTER_PASSWORD\)@(nats-\d\.nats-headless):6222", routes) == [
        f"nats-{node}.nats-headless" for node in range(values()["config"]["cluster"]["replicas"])
    ]


def test_the_log_s_bound_is_below_the_disks() -> None:
    example = (ROOT / "deploy/k8s/overlays/prod/example/site.env").read_text()
    (bound,) = re.findall(r"^LOG_MAX_BYTES=(\d+)$", example, re.MULTILINE)
    size = values()["config"]["jetstream"]["fileStore"]["pvc"]["size"]

    assert int(bound) <= 0.8 * int(size.removesuffix("Gi")) * 2**30


def test_what_the_chart_mounts_is_mounted_beside_the_users() -> None:
    made = pod(values())["spec"]

    assert {mount["name"] for mount in made["containers"][0]["volumeMounts"]} == {*MOUNTED, "permissions"}
    assert {volume["name"] for volume in made["volumes"]} == {*MOUNTED, "permissions"} - {"nats-js"}


def _said(setting: str, config: str) -> list[str]:
    return re.findall(rf'^\s*"?{setting}"?: "?([^",\n]*)"?,?$', config, re.MULTILINE)
