"""What we ask of every manifest, each rule by itself: it yields what is wrong, in sentences that name the object."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tests.k8s.building import Manifest
from tests.k8s.workloads import SERVERS, Workload, containers, of_kind, selects, workloads

Rule = Callable[[Sequence[Manifest]], Iterator[str]]
OURS: Final = ("chat", "gateway", "notifier", "proxy")
"""What we scale and roll; the servers of `dev` are one each."""
_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
_SECRET: Final = ("PASSWORD", "SECRET", "TOKEN")
_NOT_IN_A_NAMESPACE: Final = ("Namespace", "PriorityClass")
_FINISH_S: Final = 10
_KNOWN_S: Final = 6
"""How long somebody may go on without the name of a new replica: what DNS remembers, and the proxy."""


def every_container_is_bounded(manifests: Sequence[Manifest]) -> Iterator[str]:
    """It says what it needs, and it gets no more than it says."""
    for where, container in containers(manifests):
        for kind in ("requests", "limits"):
            given = container.get("resources", {}).get(kind, {})
            yield from (f"{where} has no {what} in its {kind}" for what in ("cpu", "memory") if what not in given)


def every_server_is_watched(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Kubernetes knows when it has started, when it can work, and whether it lives."""
    for where, container in containers(manifests, *SERVERS):
        yield from (f"{where} has no {probe}" for probe in _PROBES if probe not in container)


def liveness_is_the_process_alone(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Starting a process again cures nothing that is wrong beside it."""
    for where, container in containers(manifests, *SERVERS):
        path = container.get("livenessProbe", {}).get("httpGet", {}).get("path")
        if path and ("ready" in path or path == container.get("readinessProbe", {}).get("httpGet", {}).get("path")):
            yield f"{where} is killed when {path} says that it is not ready"


def every_pod_is_restricted(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Nobody is root or can become it; nothing can be written but what is mounted."""
    for workload in workloads(manifests):
        pod = workload.pod.get("securityContext", {})
        if pod.get("runAsNonRoot") is not True or not pod.get("runAsUser"):
            yield f"{workload} may run as root"
        if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{workload} may make any system call"
        shared = [key for key in ("hostNetwork", "hostPID", "hostIPC") if workload.pod.get(key)]
        shared += [volume["name"] for volume in workload.pod.get("volumes", []) if "hostPath" in volume]
        yield from (f"{workload} has the node's {what}" for what in shared)
    for where, container in containers(manifests):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield f"{where} may gain privileges"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{where} keeps capabilities"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{where} may write on its image"
        if own.get("runAsUser") == 0 or own.get("runAsNonRoot") is False:
            yield f"{where} may run as root"


def nobody_has_a_token(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Nothing of ours asks Kubernetes anything; everybody has an account of its own all the same."""
    accounts = {account["metadata"]["name"]: account for account in of_kind(manifests, "ServiceAccount")}
    for workload in workloads(manifests):
        account = accounts.get(workload.pod.get("serviceAccountName", ""))
        if account is None:
            yield f"{workload} runs under an account that is not its own"
        elif account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {account['metadata']['name']} hands out its token"
        if workload.pod.get("automountServiceAccountToken") is not False:
            yield f"{workload} gets a token"


def every_image_is_pinned(manifests: Sequence[Manifest]) -> Iterator[str]:
    """What runs tomorrow is what runs today."""
    for where, container in containers(manifests):
        _, _, tag = container["image"].rpartition("/")[2].partition(":")
        if tag in {"", "latest"} and "@sha256:" not in container["image"]:
            yield f"{where} runs {container['image']}, whatever that is"


def every_server_has_a_budget(manifests: Sequence[Manifest]) -> Iterator[str]:
    """A drain takes one at a time, and it can take one."""
    budgets = of_kind(manifests, "PodDisruptionBudget")
    for workload in workloads(manifests, *SERVERS):
        mine = [budget["spec"] for budget in budgets if selects(budget["spec"]["selector"], workload.labels)]
        if len(mine) != 1:
            yield f"{workload} has {len(mine)} budgets, not one"
        elif mine[0].get("maxUnavailable") != 1:
            yield f"a drain takes {mine[0].get('maxUnavailable', 'none')} of {workload}, not one"


def a_drain_waits_for_nobody_who_serves_nobody(manifests: Sequence[Manifest]) -> Iterator[str]:
    """All of ours may be not ready, as while a database is down, and nodes go; what keeps data is waited for."""
    budgets = of_kind(manifests, "PodDisruptionBudget")
    for workload in workloads(manifests, *SERVERS):
        for budget in (budget["spec"] for budget in budgets if selects(budget["spec"]["selector"], workload.labels)):
            always = budget.get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
            if workload.app in OURS and not always:
                yield f"a drain waits until {workload} is ready"
            if workload.kind == "StatefulSet" and always:
                yield f"a drain takes {workload} while another of its copies may be gone"


def nobody_notices_a_rollout(manifests: Sequence[Manifest]) -> Iterator[str]:
    """The new one is known before the old one goes, and the old one serves until everybody knows."""
    behind = [service["spec"]["selector"] for service in of_kind(manifests, "Service")]
    for workload in workloads(manifests, "Deployment"):
        rolling = workload.manifest["spec"].get("strategy", {}).get("rollingUpdate", {})
        if (rolling.get("maxUnavailable"), rolling.get("maxSurge")) != (0, 1):
            yield f"{workload} goes before the next one is there"
        if workload.app in OURS and workload.manifest["spec"].get("minReadySeconds", 0) < _KNOWN_S:
            yield f"{workload} goes before the next one is known"
        lingers_s = _lingers_s(workload, manifests)
        if not lingers_s and any(selects({"matchLabels": selector}, workload.labels) for selector in behind):
            yield f"{workload} stops while requests are on their way to it"
        if workload.pod.get("terminationGracePeriodSeconds", 0) < lingers_s + _FINISH_S:
            yield f"{workload} has no time to finish"


def there_is_never_only_one(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Of ours there are two at least, on different nodes if there are any; who counts them is said once."""
    scaled = {scaler["spec"]["scaleTargetRef"]["name"]: scaler["spec"] for scaler in _autoscalers(manifests)}
    for workload in workloads(manifests, "Deployment"):
        if workload.app not in OURS:
            continue
        replicas, scaler = workload.manifest["spec"].get("replicas"), scaled.get(workload.name)
        if scaler is not None and replicas is not None:
            yield f"{workload} and its autoscaler both say how many there are"
        if (replicas or (scaler or {}).get("minReplicas", 1)) < 2:
            yield f"{workload} may be alone"
        if "topologySpreadConstraints" not in workload.pod:
            yield f"{workload} may be all on one node"


def secrets_are_secrets(manifests: Sequence[Manifest]) -> Iterator[str]:
    """What must not be read is in a Secret, and nowhere else."""
    for config in of_kind(manifests, "ConfigMap"):
        name = config["metadata"]["name"]
        yield from (f"ConfigMap {name} shows {key}" for key in config.get("data", {}) if key.endswith(_SECRET))
    for where, container in containers(manifests):
        for variable in container.get("env", []):
            if variable["name"].endswith(_SECRET) and "value" in variable:
                yield f"{where} shows {variable['name']}"


def everything_named_is_there(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Settings, keys, accounts, classes, ports and targets."""
    for workload in workloads(manifests):
        yield from _missing(workload, manifests)
    pods = [(workload.labels, _ports(workload)) for workload in workloads(manifests, *SERVERS)]
    for service in of_kind(manifests, "Service"):
        spec, name = service["spec"], service["metadata"]["name"]
        ports = [have for labels, have in pods if selects({"matchLabels": spec["selector"]}, labels)]
        if not ports:
            yield f"Service {name} leads nowhere"
        wanted = {port.get("targetPort", port["port"]) for port in spec["ports"]}
        yield from (
            f"Service {name} leads to port {port}, which nobody has"
            for port in wanted
            if port not in set().union(*ports)
        )
    names = {workload.name for workload in workloads(manifests)}
    for scaler in _autoscalers(manifests):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        if target not in names:
            yield f"HorizontalPodAutoscaler {scaler['metadata']['name']} scales {target}, which is not there"
    services = {service["metadata"]["name"] for service in of_kind(manifests, "Service")}
    for ingress in of_kind(manifests, "Ingress"):
        for path in (path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]):
            backend = path["backend"]["service"]["name"]
            if backend not in services:
                yield f"Ingress {ingress['metadata']['name']} leads to {backend}, which is not there"


def everything_is_in_the_restricted_namespace(manifests: Sequence[Manifest]) -> Iterator[str]:
    """There is one, and it refuses what is not restricted."""
    for namespace in of_kind(manifests, "Namespace"):
        if namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"Namespace {namespace['metadata']['name']} takes any pod"
    known = {namespace["metadata"]["name"] for namespace in of_kind(manifests, "Namespace")}
    for manifest in manifests:
        if manifest["kind"] not in _NOT_IN_A_NAMESPACE and manifest["metadata"].get("namespace") not in known:
            yield f"{manifest['kind']} {manifest['metadata']['name']} is in no namespace of ours"


def disks_are_of_the_cluster_s_own_class(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Any cluster has a default one; whose names it has, nobody knows."""
    for workload in workloads(manifests, "StatefulSet"):
        for claim in workload.manifest["spec"].get("volumeClaimTemplates", []):
            if "storageClassName" in claim["spec"]:
                yield f"{workload} wants disks of class {claim['spec']['storageClassName']}"


RULES: Final[tuple[Rule, ...]] = (
    every_container_is_bounded,
    every_server_is_watched,
    liveness_is_the_process_alone,
    every_pod_is_restricted,
    nobody_has_a_token,
    every_image_is_pinned,
    every_server_has_a_budget,
    a_drain_waits_for_nobody_who_serves_nobody,
    nobody_notices_a_rollout,
    there_is_never_only_one,
    secrets_are_secrets,
    everything_named_is_there,
    everything_is_in_the_restricted_namespace,
    disks_are_of_the_cluster_s_own_class,
)


def _autoscalers(manifests: Sequence[Manifest]) -> list[Manifest]:
    return of_kind(manifests, "HorizontalPodAutoscaler")


def _lingers_s(workload: Workload, manifests: Sequence[Manifest]) -> float:
    """Return how long one that was told to go serves on: by Kubernetes' own means, or by its setting."""
    container = workload.pod["containers"][0]
    sleep_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    read = {source["configMapRef"]["name"] for source in container.get("envFrom", []) if "configMapRef" in source}
    settings = [config["data"] for config in of_kind(manifests, "ConfigMap") if config["metadata"]["name"] in read]
    return float(sleep_s) + sum(
        float(value) for each in settings for key, value in each.items() if key.endswith("_DRAIN_S")
    )


def _ports(workload: Workload) -> set[str | int]:
    ports = [port for container in workload.containers for port in container.get("ports", [])]
    return {port["name"] for port in ports} | {port["containerPort"] for port in ports}


def _missing(workload: Workload, manifests: Sequence[Manifest]) -> Iterator[str]:
    keys = {
        (manifest["kind"], manifest["metadata"]["name"]): manifest.get("data", {}).keys()
        for manifest in of_kind(manifests, "ConfigMap", "Secret")
    }
    classes = {manifest["metadata"]["name"] for manifest in of_kind(manifests, "PriorityClass")}
    if workload.pod.get("priorityClassName", next(iter(classes), None)) not in classes:
        yield f"{workload} is of class {workload.pod['priorityClassName']}, which is not there"
    for volume in workload.pod.get("volumes", []):
        if "configMap" in volume and ("ConfigMap", volume["configMap"]["name"]) not in keys:
            yield f"{workload} mounts {volume['configMap']['name']}, which is not there"
    for container in workload.containers:
        for source in container.get("envFrom", []):
            kind, ref = ("Secret", "secretRef") if "secretRef" in source else ("ConfigMap", "configMapRef")
            if (kind, source[ref]["name"]) not in keys:
                yield f"{workload} reads {source[ref]['name']}, which is not there"
        for variable in container.get("env", []):
            secret = variable.get("valueFrom", {}).get("secretKeyRef")
            if secret and secret["key"] not in keys.get(("Secret", secret["name"]), ()):
                yield f"{workload} reads {secret['key']} of {secret['name']}, which is not there"
