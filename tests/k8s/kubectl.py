"""kubectl, as a person would use it, on the cluster that $KUBECONFIG names."""

import json
import os
import subprocess
from typing import Any, Final

from tests.k8s.building import tool

NAMESPACE: Final = "petit"
_WITHIN_S: Final = 60.0


def run(*words: str, text: str | None = None, within_s: float = _WITHIN_S) -> subprocess.CompletedProcess[str]:
    """Run it, whatever it answers.

    Raises:
        AssertionError: nobody has said which cluster.
        subprocess.TimeoutExpired: it takes too long.
    """
    assert os.environ.get("KUBECONFIG"), "KUBECONFIG does not say which cluster: `tests/k8s/cluster up` starts one"
    return subprocess.run(
        [tool("kubectl"), *words], input=text, capture_output=True, text=True, timeout=within_s, check=False
    )


def kubectl(*words: str, text: str | None = None, within_s: float = _WITHIN_S) -> str:
    """Run it, and return what it prints.

    Raises:
        AssertionError: it failed.
    """
    done = run(*words, text=text, within_s=within_s)
    assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout


def ours(*words: str, text: str | None = None, within_s: float = _WITHIN_S) -> str:
    """Do the same in our namespace."""
    return kubectl("--namespace", NAMESPACE, *words, text=text, within_s=within_s)


def listed(kind: str, *words: str) -> list[dict[str, Any]]:
    """Return the objects of a kind in our namespace."""
    items: list[dict[str, Any]] = json.loads(ours("get", kind, *words, "--output", "json"))["items"]
    return items


def pods(app: str, *, ready: bool = False) -> list[str]:
    """Return the names of an app's pods that are not on their way out, oldest first; with `ready` only of those."""
    found = listed("pods", "--selector", f"app.kubernetes.io/name={app}", "--sort-by", ".metadata.creationTimestamp")
    staying = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return [pod["metadata"]["name"] for pod in staying if not ready or _is_ready(pod)]


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
