"""Every rule holds for every overlay, and each rule sees a manifest that breaks it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.k8s import rules
from tests.k8s.building import OVERLAYS, Manifest, Overlay, around, copied
from tests.k8s.flows import ELSEWHERE, INGRESS, NEEDED, flows, inside
from tests.k8s.rules import RULES, Rule
from tests.k8s.workloads import of_kind

pytestmark = pytest.mark.k8s

POD: Final = "spec/template/spec"
MAIN: Final = f"{POD}/containers/0"


@dataclass(frozen=True, slots=True)
class Spoil:
    """A manifest made wrong on purpose."""

    target: str
    """Kind and name, the hash of generated ones aside."""
    path: str = ""
    """Of a field, `/` between the keys; empty: the whole object."""
    value: object = None
    """What it is set to; None: it is removed."""

    def __call__(self, manifests: list[Manifest]) -> None:
        """Do it."""
        kind, name = self.target.split()
        named = re.compile(rf"{name}(-[a-z0-9]{{10}})?")
        (found,) = (each for each in manifests if each["kind"] == kind and named.fullmatch(each["metadata"]["name"]))
        if not self.path:
            manifests.remove(found)
            return
        *keys, last = [int(key) if key.isdigit() else key for key in self.path.split("/")]
        parent: Any = found
        for key in keys:
            parent = parent[key]
        if self.value is None:
            del parent[last]
        else:
            parent[last] = self.value

    def __str__(self) -> str:
        return f"{self.target} {self.path.removeprefix(POD)} {self.value or 'removed'}"


WRONG: Final[list[tuple[Rule, Spoil]]] = [
    (rules.every_container_is_bounded, Spoil("Deployment gateway", f"{MAIN}/resources/limits/memory")),
    (rules.every_container_is_bounded, Spoil("StatefulSet cassandra", f"{MAIN}/resources/requests/cpu")),
    (rules.every_container_is_bounded, Spoil("Job bootstrap", f"{MAIN}/resources")),
    (rules.every_server_is_watched, Spoil("Deployment chat", f"{MAIN}/livenessProbe")),
    (rules.every_server_is_watched, Spoil("Deployment proxy", f"{MAIN}/startupProbe")),
    (rules.every_server_is_watched, Spoil("StatefulSet nats", f"{MAIN}/readinessProbe")),
    (
        rules.liveness_is_the_process_alone,
        Spoil("Deployment notifier", f"{MAIN}/livenessProbe/httpGet/path", "/readyz"),
    ),
    (
        rules.liveness_is_the_process_alone,
        Spoil("Deployment chat", f"{MAIN}/readinessProbe/httpGet/path", "/healthz"),
    ),
    (rules.every_pod_is_restricted, Spoil("Deployment gateway", f"{POD}/securityContext/runAsNonRoot")),
    (rules.every_pod_is_restricted, Spoil("StatefulSet postgres", f"{POD}/securityContext/runAsUser", 0)),
    (rules.every_pod_is_restricted, Spoil("Job bootstrap", f"{POD}/securityContext/seccompProfile")),
    (rules.every_pod_is_restricted, Spoil("Deployment proxy", f"{POD}/hostNetwork", value=True)),
    (
        rules.every_pod_is_restricted,
        Spoil("StatefulSet nats", f"{POD}/volumes/0", {"name": "x", "hostPath": {"path": "/"}}),
    ),
    (
        rules.every_pod_is_restricted,
        Spoil("Deployment gateway", f"{MAIN}/securityContext/allowPrivilegeEscalation"),
    ),
    (rules.every_pod_is_restricted, Spoil("Deployment gateway", f"{MAIN}/securityContext/privileged", value=True)),
    (
        rules.every_pod_is_restricted,
        Spoil("Deployment chat", f"{MAIN}/securityContext/capabilities", {"drop": ["ALL"], "add": ["CHOWN"]}),
    ),
    (
        rules.every_pod_is_restricted,
        Spoil("Deployment keycloak", f"{MAIN}/securityContext/readOnlyRootFilesystem"),
    ),
    (rules.every_pod_is_restricted, Spoil("Deployment chat", f"{MAIN}/securityContext/runAsUser", 0)),
    (
        rules.every_pod_is_restricted,
        Spoil("Deployment chat", f"{POD}/initContainers", [{"name": "first", "securityContext": {"privileged": True}}]),
    ),
    (rules.nobody_has_a_token, Spoil("Deployment gateway", f"{POD}/automountServiceAccountToken")),
    (rules.nobody_has_a_token, Spoil("ServiceAccount chat", "automountServiceAccountToken", value=True)),
    (rules.nobody_has_a_token, Spoil("StatefulSet nats", f"{POD}/serviceAccountName", "default")),
    (rules.every_image_is_pinned, Spoil("Deployment gateway", f"{MAIN}/image", "petit/gateway:latest")),
    (rules.every_image_is_pinned, Spoil("Deployment gateway", f"{MAIN}/image", "host:5000/petit/gateway")),
    (rules.every_server_has_a_budget, Spoil("PodDisruptionBudget notifier")),
    (rules.every_server_has_a_budget, Spoil("PodDisruptionBudget nats", "spec/maxUnavailable", 0)),
    (
        rules.every_server_has_a_budget,
        Spoil("PodDisruptionBudget chat", "spec/selector/matchLabels", {"app.kubernetes.io/name": "chats"}),
    ),
    (
        rules.a_drain_waits_for_nobody_who_serves_nobody,
        Spoil("PodDisruptionBudget chat", "spec/unhealthyPodEvictionPolicy"),
    ),
    (
        rules.a_drain_waits_for_nobody_who_serves_nobody,
        Spoil("PodDisruptionBudget nats", "spec/unhealthyPodEvictionPolicy", "AlwaysAllow"),
    ),
    (rules.nobody_notices_a_rollout, Spoil("Deployment proxy", f"{MAIN}/lifecycle")),
    (rules.nobody_notices_a_rollout, Spoil("ConfigMap notifier", "data/PETIT_NOTIFIER_DRAIN_S", "0")),
    (rules.nobody_notices_a_rollout, Spoil("Deployment gateway", "spec/minReadySeconds")),
    (
        rules.nobody_notices_a_rollout,
        Spoil("Deployment gateway", "spec/strategy/rollingUpdate/maxUnavailable", "25%"),
    ),
    (rules.nobody_notices_a_rollout, Spoil("Deployment notifier", f"{POD}/terminationGracePeriodSeconds", 6)),
    (rules.there_is_never_only_one, Spoil("Deployment proxy", "spec/replicas", 1)),
    (rules.there_is_never_only_one, Spoil("Deployment gateway", "spec/replicas", 3)),
    (rules.there_is_never_only_one, Spoil("HorizontalPodAutoscaler chat", "spec/minReplicas", 1)),
    (rules.there_is_never_only_one, Spoil("Deployment chat", f"{POD}/topologySpreadConstraints")),
    (rules.secrets_are_secrets, Spoil("ConfigMap gateway", "data/PETIT_GATEWAY_NATS_PASSWORD", "known")),
    (
        rules.secrets_are_secrets,
        Spoil("Deployment chat", f"{MAIN}/env/1", {"name": "PETIT_CHAT_NATS_PASSWORD", "value": "known"}),
    ),
    (rules.everything_named_is_there, Spoil("Secret nats-users")),
    (rules.everything_named_is_there, Spoil("ConfigMap notifier")),
    (rules.everything_named_is_there, Spoil("PriorityClass petit-store")),
    (
        rules.everything_named_is_there,
        Spoil("Deployment chat", f"{MAIN}/env/1/valueFrom/secretKeyRef/key", "NATS_CHATS_PASSWORD"),
    ),
    (rules.everything_named_is_there, Spoil("Service gateway", "spec/ports/0/targetPort", "web")),
    (rules.everything_named_is_there, Spoil("Service proxy", "spec/selector", {"app": "proxy"})),
    (
        rules.everything_named_is_there,
        Spoil("HorizontalPodAutoscaler chat", "spec/scaleTargetRef/name", "chats"),
    ),
    (rules.everything_is_in_the_restricted_namespace, Spoil("Service nats", "metadata/namespace", "default")),
    (
        rules.everything_is_in_the_restricted_namespace,
        Spoil("Namespace petit", "metadata/labels", {"pod-security.kubernetes.io/enforce": "baseline"}),
    ),
    (
        rules.disks_are_of_the_cluster_s_own_class,
        Spoil("StatefulSet nats", "spec/volumeClaimTemplates/0/spec/storageClassName", "fast"),
    ),
]
HOLES: Final[list[tuple[str, Spoil]]] = [
    ("nobody is kept out", Spoil("NetworkPolicy nobody")),
    ("anybody reaches the log", Spoil("NetworkPolicy nats", "spec/ingress/0/from")),
    ("the proxy reaches the log's monitor", Spoil("NetworkPolicy nats", "spec/ingress/0/ports/0/port", 8222)),
    ("the edges reach everybody", Spoil("NetworkPolicy edges-to-keycloak", "spec/egress/0/to/0/podSelector", {})),
    ("chat cannot reach its store", Spoil("NetworkPolicy chat-to-cql", "spec/egress/0/ports/0/port", 9043)),
]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_holds(rule: Rule, overlay: Overlay, built: dict[Overlay, list[Manifest]]) -> None:
    assert list(rule(built[overlay])) == []


@pytest.mark.parametrize(("rule", "spoil"), WRONG, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_rule_sees_what_is_wrong(rule: Rule, spoil: Spoil, dev: list[Manifest]) -> None:
    spoil(dev)

    assert list(rule(dev)) != []


def test_every_rule_has_been_seen_to_refuse_something() -> None:
    assert {rule for rule, _ in WRONG} == set(RULES)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_those_talk_who_need_to(overlay: Overlay, built: dict[Overlay, list[Manifest]]) -> None:
    assert flows(built[overlay]) == NEEDED[overlay]


def test_a_keycloak_elsewhere_tells_the_gateway_by_way_of_the_ingress_controller(tmp_path: Path) -> None:
    overlays = copied(tmp_path / "deploy")

    made = around(overlays, "components: [../../components/keycloak-elsewhere]\n")

    ingresses = {ingress["metadata"]["name"]: ingress for ingress in of_kind(made, "Ingress")}
    (path,) = ingresses["backchannel"]["spec"]["rules"][0]["http"]["paths"]
    assert [fault for rule in RULES for fault in rule(made)] == []
    assert flows(made) == NEEDED["prod"] - {(inside("keycloak"), "gateway", 8080)} | {(INGRESS, "gateway", 8080)}
    assert (path["path"], path["pathType"]) == ("/backchannel-logout", "Exact")
    assert [ingress["spec"]["rules"][0]["host"] for ingress in ingresses.values()] == ["chat.example.org"] * 2
    assert [ingress["spec"]["tls"] for ingress in ingresses.values()] == [ingresses["petit"]["spec"]["tls"]] * 2


@pytest.mark.parametrize("spoil", [spoil for _, spoil in HOLES], ids=[what for what, _ in HOLES])
def test_a_hole_between_those_who_talk_is_seen(spoil: Spoil, dev: list[Manifest]) -> None:
    spoil(dev)

    assert flows(dev) != NEEDED["dev"]


def test_nobody_outside_reaches_what_keeps_data(built: dict[Overlay, list[Manifest]]) -> None:
    reached = {target for source, target, _ in flows(built["dev"]) if source == ELSEWHERE}

    assert reached == {"proxy"}
