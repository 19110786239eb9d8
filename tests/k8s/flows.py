"""Who may talk to whom by the NetworkPolicies: a connection needs the leave of both its ends.

Policies are summed up: a pod that one of them selects may do what any of them allows, and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.k8s.building import Manifest
from tests.k8s.workloads import of_kind, selects, workloads

Flow = tuple[str, str, int]
"""From, to, port."""
ELSEWHERE: Final = "elsewhere"
"""Everything that is in no namespace which a policy names; it has no policies that we know of."""


def inside(namespace: str) -> str:
    """Return what a namespace of others is called here."""
    return f"namespace {namespace}"


INGRESS: Final = inside("ingress-nginx")
_BOTH: Final = frozenset({("proxy", "gateway", 8080), ("proxy", "notifier", 8081)})
_NATS: Final = frozenset((service, "nats", 4222) for service in ("bootstrap", "chat", "gateway", "notifier"))
_CQL: Final = frozenset((service, "cassandra", 9042) for service in ("bootstrap", "chat"))
_KEYCLOAK: Final = frozenset((service, "keycloak", 8080) for service in ("gateway", "notifier", "proxy"))
_PROD: Final = (
    _BOTH
    | {(INGRESS, "proxy", 8080), (inside("keycloak"), "gateway", 8080)}
    | {(source, inside("nats"), port) for source, _, port in _NATS}
    | {(source, inside("scylla"), port) for source, _, _ in _CQL for port in (9042, 9142)}
    | {(service, ELSEWHERE, 443) for service in ("gateway", "notifier")}
)
_DOCTOR: Final = (
    _PROD
    | {("doctor", ELSEWHERE, 443), ("doctor", inside("nats"), 4222)}
    | {("doctor", inside("scylla"), port) for port in (9042, 9142)}
)
NEEDED: Final = {
    "dev": _BOTH
    | _NATS
    | _CQL
    | _KEYCLOAK
    | {(ELSEWHERE, "proxy", 8080)}
    | {("nats", "nats", 6222), ("keycloak", "postgres", 5432), ("keycloak", "gateway", 8080)}
    | {("keycloak", "keycloak", port) for port in (7800, 57800)},
    "prod": _PROD,
    "doctor": _DOCTOR,
    "new-epoch": _DOCTOR,
}
"""What each overlay is for, and nothing more; DNS aside, which everybody may ask."""
DNS: Final = 53
_ALL_PORTS: Final = (443, 4222, 5432, 6222, 7199, 8080, 8081, 8222, 9000, 9042)
"""What stands for every port there is."""
_OUT: Final = ("Egress", "egress", "to")
_INTO: Final = ("Ingress", "ingress", "from")


def flows(manifests: Sequence[Manifest]) -> set[Flow]:
    """Return every connection that is allowed, but to DNS."""
    pods = {workload.app: workload.labels for workload in workloads(manifests)}
    policies = [policy["spec"] for policy in of_kind(manifests, "NetworkPolicy")]
    out = {(pod, end, port) for pod in pods for end, port in _ends(pod, pods=pods, policies=policies, side=_OUT)}
    into = {(end, pod, port) for pod in pods for end, port in _ends(pod, pods=pods, policies=policies, side=_INTO)}
    return {
        flow
        for flow in out | into
        if (flow[0] not in pods or flow in out) and (flow[1] not in pods or flow in into) and flow[2] != DNS
    }


def _ends(
    pod: str, *, pods: Mapping[str, dict[str, str]], policies: Sequence[Manifest], side: tuple[str, str, str]
) -> Iterator[tuple[str, int]]:
    """Yield the other ends that one pod's policies allow; where none selects it, all there are."""
    direction, rules, peers = side
    mine = [
        policy
        for policy in policies
        if direction in policy["policyTypes"] and selects(policy["podSelector"], pods[pod])
    ]
    everybody = [*pods, ELSEWHERE]
    for rule in [rule for policy in mine for rule in policy.get(rules, [])] if mine else [{}]:
        ports = [port["port"] for port in rule["ports"]] if "ports" in rule else _ALL_PORTS
        others = [end for peer in rule[peers] for end in _named(peer, pods)] if peers in rule else everybody
        yield from ((other, port) for other in others for port in ports)


def _named(peer: Manifest, pods: Mapping[str, dict[str, str]]) -> list[str]:
    if "ipBlock" in peer:
        return [ELSEWHERE]
    if "namespaceSelector" in peer:
        return [inside(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])]
    return [name for name, labels in pods.items() if selects(peer["podSelector"], labels)]
