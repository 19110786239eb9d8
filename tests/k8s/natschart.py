"""What NATS' Helm chart makes of our values: its rules for the parts that we use, in our own words.

Read in `helm/charts/nats` of nats-io/k8s at chart 2.14.2. A value under `merge` takes the place of the chart's own,
lists too (nats-io/k8s issue 864); then JSON patches are applied. The configuration is printed as JSON with its keys
in order, in which `"<< x >>"` becomes x and a key that ends in `$include` becomes an include.
"""

import copy
import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

VALUES: Final = Path(__file__).parents[2] / "deploy/k8s/overlays/prod/nats-values.yaml"
CONFIG: Final = "nats-config/nats.conf"
"""Where the configuration is, below /etc."""
MOUNTED: Final = ("config", "pid", "nats-js", "tls-ca", "nats-tls", "cluster-tls")
"""What the chart mounts by itself."""

Values = dict[str, Any]


def values() -> Values:
    """Return ours."""
    found: Values = yaml.safe_load(VALUES.read_text())
    return found


def configuration(ours: Values, *, etc: Path) -> str:
    """Return the text of nats.conf, with a folder in the place of /etc."""
    config = ours["config"]
    authority = {"ca_file": f"{etc}/nats-ca-cert/ca.crt"}
    cluster, jetstream = config["cluster"], config["jetstream"]
    routes = [f"tls://nats-{node}.nats-headless:6222" for node in range(cluster["replicas"])]
    document = {
        "server_name": "<< $SERVER_NAME >>",
        "lame_duck_grace_period": "10s",
        "lame_duck_duration": "30s",
        "pid_file": "/var/run/nats/nats.pid",
        "port": 4222,
        "http_port": 8222,
        "tls": _certificate(f"{etc}/nats-certs/nats") | authority,
        "cluster": _made(
            {
                "name": "nats",
                "port": 6222,
                "no_advertise": True,
                "routes": routes,
                "tls": _certificate(f"{etc}/nats-certs/cluster") | authority,
            },
            cluster,
        ),
        "jetstream": _made(
            {
                "max_memory_store": f"<< {jetstream['memoryStore']['maxSize']} >>",
                "store_dir": "/data",
                "max_file_store": f"<< {jetstream['fileStore']['pvc']['size']} >>",
            },
            jetstream,
        ),
    }
    printed = json.dumps(_made(document, config), indent=2, sort_keys=True)
    included = re.sub(r'".*\$include": "(.*)",?', r"include \1;", printed)
    return re.sub(r'"<<\s+(.*?)\s+>>"', lambda found: found[1].replace('\\"', '"'), included)


def container(ours: Values) -> Values:
    """Return the container of the server: what it mounts, and its environment."""
    given = ours["container"]
    env = [
        {"name": name, "value": value} if isinstance(value, str) else {"name": name, **value}
        for name, value in sorted(given.get("env", {}).items())
    ]
    return _made({"name": "nats", "env": env, "volumeMounts": [{"name": name} for name in MOUNTED]}, given)


def pod(ours: Values) -> Values:
    """Return the pod's template: its volumes."""
    volumes = [{"name": name} for name in MOUNTED if name != "nats-js"]
    return _made({"spec": {"containers": [container(ours)], "volumes": volumes}}, ours["podTemplate"])


def _certificate(folder: str) -> Values:
    return {"cert_file": f"{folder}/tls.crt", "key_file": f"{folder}/tls.key"}


def _made(document: Values, given: Values) -> Values:
    made = _overwritten(document, given.get("merge", {}))
    for patch in given.get("patch", []):
        assert patch["op"] == "add", f"{patch['op']} is not understood here"
        *keys, last = patch["path"].removeprefix("/").split("/")
        assert last == "-", f"{patch['path']} is not understood here"
        parent: Any = made
        for key in keys:
            parent = parent[key]
        parent.append(patch["value"])
    return made


def _overwritten(document: Values, merge: Values) -> Values:
    made = copy.deepcopy(document)
    for key, value in merge.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = _overwritten(made[key], value) if both else copy.deepcopy(value)
    return made
