"""What compose.yaml has to hold to, as a list of what is wrong with it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN")
_VARIABLE = re.compile(r"\$\{(\w+)(:[-?][^}]*)?\}")
_IN_PLACE_OF = re.compile(r"\$\{\w+:-([^}]*)\}")


def faults(compose: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each rule that a service breaks; none if all is well."""
    return [
        f"{name} {fault}" for name, service in compose["services"].items() for fault in _of(name, service)
    ] + _shared(compose)


def _of(name: str, service: Mapping[str, Any]) -> Iterator[str]:
    if service.get("read_only") is not True:
        yield "may write to its root file system"
    if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
        yield "keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []) or service.get("privileged"):
        yield "may gain privileges"
    if not service.get("mem_limit") or not service.get("pids_limit"):
        yield "has no limit of memory or of processes"
    if not _is_probed(service):
        yield "has no health check"
    if not service.get("networks") or service.get("network_mode"):
        yield "is on a network that it was not given"
    yield from _image(service.get("image", ""))
    yield from _secrets(service.get("environment", {}))
    yield from _reach(name, service)


def _is_probed(service: Mapping[str, Any]) -> bool:
    check = service.get("healthcheck", {})
    if check.get("disable"):
        return service.get("restart") == "no"  # a job: its exit code says it
    return bool(check) and ("test" in check or service["image"].startswith("petit/"))


def _image(image: str) -> Iterator[str]:
    name = _IN_PLACE_OF.sub(r"\1", image)
    repository, _, tag = name.rpartition(":")
    if not repository or tag in {"", "latest"}:
        yield f"has an image that is not pinned: {image}"
    if re.match(r"[^/]*[.:][^/]*/|localhost/", name):
        yield f"names a registry: {image}"


def _secrets(environment: Mapping[str, Any]) -> Iterator[str]:
    for key, value in environment.items():
        if not _SECRET.search(key) or key.endswith("_GRANT"):
            continue
        variable = _VARIABLE.fullmatch(str(value))
        if variable is None or (variable[2] or "").startswith(":-"):
            yield f"has a secret of its own, or a default for one: {key}"


def _reach(name: str, service: Mapping[str, Any]) -> Iterator[str]:
    for port in service.get("ports", []):
        if name != "proxy" or not _IN_PLACE_OF.sub(r"\1", port).startswith("127.0.0.1:"):
            yield f"is published: {port}"
    for volume in service.get("volumes", []):
        if volume.startswith((".", "/", "~")) and not volume.endswith(":ro"):
            yield f"writes to the host: {volume}"


def _shared(compose: Mapping[str, Any]) -> list[str]:
    """Look at what is asked for at least once, and at networks that lead out."""
    text = str(compose)
    asked = {name for name, default in _VARIABLE.findall(text) if default.startswith(":?")}
    bare = {name for name, default in _VARIABLE.findall(text) if not default}
    outside = [
        name for name, network in compose["networks"].items() if not network.get("internal") and name != "public"
    ]
    return [f"{name} is used and never asked for" for name in sorted(bare - asked)] + [
        f"network {name} leads outside" for name in outside
    ]
