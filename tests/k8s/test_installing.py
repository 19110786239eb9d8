"""From nothing to an installation, with one command."""

from collections.abc import Callable

import pytest

from tests.k8s.installation import DEV, READY_S, Installation
from tests.k8s.kubectl import listed, ours, pods, run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2 * READY_S)]


def test_everything_is_ready_within_five_minutes(stack: Installation, figure: Callable[[str], None]) -> None:
    figure(f"`kubectl apply -k` on nothing: everything ready after {stack.took_s:.0f} s")

    assert stack.took_s < READY_S


def test_kubernetes_has_nothing_to_warn_of(stack: Installation) -> None:
    assert "Warning" not in stack.applied


def test_applying_it_again_changes_nothing(stack: Installation) -> None:
    assert stack.took_s
    changed = run("diff", "--kustomize", str(DEV))

    assert (changed.returncode, changed.stdout) == (0, ""), changed.stderr


def test_nobody_has_failed_on_the_way(stack: Installation) -> None:
    """What waits for a server waits: a process that ends instead is started again later and later."""
    failed = {
        pod["metadata"]["name"]: status["restartCount"]
        for pod in listed("pods")
        for status in pod["status"].get("containerStatuses", [])
        if status["restartCount"]
    }

    assert failed == {}, stack.logged()[-4_000:]


@pytest.mark.parametrize("app", ["chat", "gateway", "notifier", "proxy"])
def test_a_process_can_do_nothing_but_its_work(app: str, stack: Installation) -> None:
    assert stack.took_s
    status = ours("exec", pods(app)[0], "--", "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    written = run("--namespace", "petit", "exec", pods(app)[0], "--", "touch", "/written")

    assert (int(fields["CapEff"], 16), fields["NoNewPrivs"], fields["Seccomp"]) == (0, "1", "2")
    assert fields["Uid"].split()[0] == "10001"
    assert "Read-only file system" in written.stderr
