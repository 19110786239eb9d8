"""Manifests as the rules look at them: what runs pods, and what belongs to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.k8s.building import Manifest

WORKLOADS = ("Deployment", "StatefulSet", "Job")
SERVERS = ("Deployment", "StatefulSet")
"""What runs until it is told to stop."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that runs pods."""

    manifest: Manifest

    @property
    def kind(self) -> str:
        """As `Deployment`."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Its own name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def app(self) -> str:
        """What its pods are called by policies and services."""
        return self.labels.get("app.kubernetes.io/name", "")

    @property
    def labels(self) -> dict[str, str]:
        """Of its pods."""
        labels: dict[str, str] = self.manifest["spec"]["template"]["metadata"].get("labels", {})
        return labels

    @property
    def pod(self) -> Manifest:
        """What its pods are made from."""
        pod: Manifest = self.manifest["spec"]["template"]["spec"]
        return pod

    @property
    def containers(self) -> list[Manifest]:
        """All of them, those that run before the others too."""
        return [*self.pod["containers"], *self.pod.get("initContainers", [])]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    """Return the manifests of these kinds, in order."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def workloads(manifests: Sequence[Manifest], *kinds: str) -> list[Workload]:
    """Return what runs pods: everything, or of these kinds."""
    return [Workload(manifest) for manifest in of_kind(manifests, *(kinds or WORKLOADS))]


def containers(manifests: Sequence[Manifest], *kinds: str) -> Iterator[tuple[str, Manifest]]:
    """Yield every container with a name to complain by."""
    for workload in workloads(manifests, *kinds):
        for container in workload.containers:
            yield f"{workload}, container {container['name']}", container


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Say whether a label selector takes these labels; the empty one takes all."""
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _holds(expression: Manifest, labels: dict[str, str]) -> bool:
    assert expression["operator"] == "In", f"a selector by {expression['operator']} is not understood here"
    return labels.get(expression["key"]) in expression["values"]
