"""Pods are taken away while people write, read and look on: others take over, and nothing is lost."""

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.e2e.people import People
from tests.k8s.installation import READY_S, Installation
from tests.k8s.kubectl import NAMESPACE, kubectl, ours, pods, run
from tests.prove.crowd import gathered
from tests.prove.verdict import violations

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2 * READY_S)]

SOME = 20
"""Sends acknowledged before and after each blow."""


def evicted(pod: str) -> str:
    """Ask for a pod to be moved, as a drain does; return why it may not be, empty if it may."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    return run("create", "--raw", path, "--filename", "-", text=json.dumps(body)).stderr


@pytest.mark.parametrize("app", ["chat", "gateway", "notifier", "proxy", "nats", "cassandra"])
async def test_a_pod_that_is_gone_without_a_word_is_replaced_and_nothing_is_lost(
    app: str, people: People, *, stack: Installation, figure: Callable[[str], None]
) -> None:
    async with gathered(people, seed=3) as (crowd, busy):
        await crowd.progress(sends=SOME)
        lost = (await asyncio.to_thread(pods, app))[0]
        before = stack.pids()
        await asyncio.to_thread(stack.kill, lost)
        await asyncio.to_thread(stack.when_replaced, {lost: before[lost]})
        await crowd.progress(sends=SOME)
        evidence = await crowd.finish(busy)

    assert violations(evidence) == []
    assert crowd.complaints == []
    figure(f"one {app} deleted by force: {crowd.figures()}")


async def test_evictions_take_one_at_a_time_and_refuse_nobody(
    people: People, stack: Installation, figure: Callable[[str], None]
) -> None:
    async with gathered(people, seed=4) as (crowd, busy):
        await crowd.progress(sends=SOME)
        for app in ("chat", "gateway", "notifier", "proxy"):
            first, second, *_ = await asyncio.to_thread(pods, app)
            allowed, refused = await asyncio.to_thread(evicted, first), await asyncio.to_thread(evicted, second)
            assert allowed == ""
            assert "disruption budget" in refused
        await asyncio.to_thread(stack.when_ready)
        await crowd.progress(sends=SOME)
        evidence = await crowd.finish(busy)

    assert violations(evidence) == []
    assert {status for status in crowd.ledger.statuses if status >= 400} == set(), crowd.figures()
    assert crowd.complaints == []
    figure(f"one of each service evicted: {crowd.figures()}")


async def test_a_node_that_is_drained_gives_up_what_others_can_take_over(
    people: People, stack: Installation, figure: Callable[[str], None]
) -> None:
    """On one node nobody can: the drain takes one of each, and waits. Then the node comes back."""
    (pod,) = json.loads(ours("get", "pods", "--selector", "app.kubernetes.io/name=cassandra", "--output", "json"))[
        "items"
    ]
    node = pod["spec"]["nodeName"]
    async with gathered(people, seed=5) as (crowd, busy):
        await crowd.progress(sends=SOME)
        try:
            selector = "--pod-selector=app.kubernetes.io/part-of=petit"
            words = ("drain", node, selector, "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=30s")
            await asyncio.to_thread(run, *words)
        finally:
            await asyncio.to_thread(kubectl, "uncordon", node)
        await asyncio.to_thread(stack.when_ready)
        await crowd.progress(sends=SOME)
        evidence = await crowd.finish(busy)

    assert violations(evidence) == []
    assert crowd.complaints == []
    figure(f"a node drained for 30 s: {crowd.figures()}")
