"""`kubectl apply -k deploy/k8s/overlays/dev` on nothing, as a stack that tests can use (tests/e2e/stack.py)."""

import base64
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

from tests.e2e.waiting import until
from tests.k8s.building import ROOT, tool
from tests.k8s.kubectl import NAMESPACE, kubectl, listed, ours, pods, run

DEV: Final = ROOT / "deploy/k8s/overlays/dev"
SERVICES: Final = ("chat", "gateway", "notifier", "proxy")
STORES: Final = ("cassandra", "nats", "postgres")
READY_S: Final = 300.0
"""How long everything may take to be ready, from nothing."""
_KEEP: Final = os.environ.get("PETIT_K8S_KEEP") == "yes"
"""Whether to take what is there and leave it there: for whoever tries one test again and again."""
_NODE_PORT: Final = 30080
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_OK: Final = 200


class Installation:
    """The whole of `dev` on the cluster. Close it, and its namespace is gone."""

    def __init__(self) -> None:
        self.client = "petit-web"
        """See `Stack.client`."""
        self.applied = ""
        """What kubectl said of the manifests, warnings included."""
        self.took_s = 0.0
        """From nothing until everything was ready."""
        self._address = ""
        self._forward: subprocess.Popen[str] | None = None
        self._keycloak = ""
        self._forwarded = ""

    # ── starting and stopping ────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Apply it to a cluster that has nothing of ours, and return when everything is ready.

        Raises:
            AssertionError: there is something, or it is not ready in time.
        """
        if self.took_s:
            return
        there = run("get", "namespace", NAMESPACE).returncode == 0
        assert _KEEP or not there, f"there is a namespace {NAMESPACE} already, and tests delete it in the end"
        begun = time.monotonic()
        done = run("apply", "--kustomize", str(DEV))
        assert done.returncode == 0, done.stderr
        self.applied = done.stdout + done.stderr
        nodes = json.loads(kubectl("get", "nodes", "--output", "json"))["items"]
        addresses = [address for node in nodes for address in node["status"]["addresses"]]
        self._address = next(each["address"] for each in addresses if each["type"] == "InternalIP")
        self.when_ready()
        self.took_s = time.monotonic() - begun

    def when_ready(self, *, within_s: float = READY_S) -> None:
        """Wait until everything is there, and the public origin answers for all of it."""
        deadline = time.monotonic() + within_s
        try:
            ours(
                "wait", "--for=condition=complete", "job", "--all", f"--timeout={within_s:.0f}s", within_s=within_s + 5
            )
            for kind, names in (("statefulset", STORES), ("deployment", (*SERVICES, "keycloak"))):
                for name in names:
                    left = max(1.0, deadline - time.monotonic())
                    ours("rollout", "status", f"{kind}/{name}", f"--timeout={left:.0f}s", within_s=left + 5)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{ours('get', 'pods')}\n{self.logged()[-4_000:]}") from None
        until(self._is_whole, within_s=max(1.0, deadline - time.monotonic()), what="two of each, and the origin serves")

    def close(self) -> None:
        """Delete everything."""
        self._stop_forwarding()
        if self.took_s and not _KEEP:
            kubectl("delete", "--kustomize", str(DEV), "--wait=true", "--ignore-not-found", within_s=180)

    # ── what it is ───────────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """See `Stack.url`: the proxy, by way of a node."""
        return f"http://{self._address}:{_NODE_PORT}"

    @property
    def issuer(self) -> str:
        """See `Stack.issuer`; tokens say `http://localhost:8080` whichever way one comes."""
        return f"{self.url}/realms/petit"

    @property
    def realm_admin(self) -> str:
        """See `Stack.realm_admin`: not public, so a way is made to Keycloak itself, whichever pod that is."""
        serving = pods("keycloak", ready=True)
        if self._forwarded not in serving or not self._answers(f"{self._keycloak}/realms/petit"):
            self._stop_forwarding()
            self._forwarded = serving[-1]  # the newest: it stays longest
            words = [tool("kubectl"), "--namespace", NAMESPACE, "port-forward", f"pod/{self._forwarded}", ":8080"]
            self._forward = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            assert self._forward.stdout is not None
            line = self._forward.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, f"no way to Keycloak: {line}"
            self._keycloak = f"http://127.0.0.1:{found[1]}"
        return f"{self._keycloak}/admin/realms/petit"

    @property
    def service_secret(self) -> str:
        """See `Stack.service_secret`."""
        (realm,) = (each for each in listed("secrets") if each["metadata"]["name"].startswith("realm-"))
        return base64.b64decode(realm["data"]["PETIT_REALM_GATEWAY_SECRET"]).decode()

    @property
    def gateways(self) -> int:
        """See `Stack.gateways`."""
        return len(self.named("gateway-"))

    def rotate_keys(self) -> None:
        """Not from here: nobody who may is known."""
        raise NotImplementedError

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    def logged(self) -> str:
        """See `Stack.logged`: what our services that are there now have printed."""
        selector = f"app.kubernetes.io/name in ({', '.join(SERVICES)}, bootstrap)"
        return ours("logs", "--selector", selector, "--tail=-1", "--prefix", "--max-log-requests=30")

    def named(self, prefix: str) -> tuple[str, ...]:
        """See `Stack.named`: pods, as `chat-`."""
        names = (pod["metadata"]["name"] for pod in listed("pods"))
        return tuple(sorted(name for name in names if name.startswith(prefix)))

    def pids(self) -> dict[str, int]:
        """See `Stack.pids`: a number for each pod's identity."""
        return {pod["metadata"]["name"]: zlib.crc32(pod["metadata"]["uid"].encode()) for pod in listed("pods")}

    # ── hurting ──────────────────────────────────────────────────────────────────────────────────

    def kill(self, *names: str) -> None:
        """See `Stack.kill`: delete pods at once."""
        ours("delete", "pod", *names, "--grace-period=0", "--force", "--wait=false")

    def signal(self, number: signal.Signals, *names: str) -> None:
        """Cannot be done from outside: images have no shell."""
        raise NotImplementedError

    def when_replaced(self, before: Mapping[str, int]) -> None:
        """See `Stack.when_replaced`."""
        until(lambda: all(self.pids().get(name) != pid for name, pid in before.items()), within_s=60, what="pods went")
        self.when_ready()

    def petit(self, *arguments: str, within_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Not from here: the servers are not reachable."""
        raise NotImplementedError

    def command(self, *arguments: str) -> Sequence[str]:
        """Not from here: the servers are not reachable."""
        raise NotImplementedError

    def _is_whole(self) -> bool:
        deployments = {
            each["metadata"]["name"]: each["status"].get("availableReplicas", 0) for each in listed("deployments")
        }
        return min(deployments[name] for name in SERVICES) > 1 and self._serves()

    def _serves(self) -> bool:
        paths = ("/", "/readyz", "/realms/petit/.well-known/openid-configuration")
        return all(self._answers(f"{self.url}{path}") for path in paths)

    @staticmethod
    def _answers(url: str) -> bool:
        try:
            with _DIRECT.open(url, timeout=5) as answer:
                return bool(answer.status == _OK)
        except (ValueError, OSError):
            return False

    def _stop_forwarding(self) -> None:
        if self._forward is not None:
            self._forward.kill()
            self._forward.communicate()
            self._forward = None
