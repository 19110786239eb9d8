"""Scripts can be repeated, and every one of them has what it promises."""

import pytest

from tests.prove.script import LEASE_MS, Blow, Step, script

EDGES, FOLDS, LOG = ("edge-0", "edge-1", "edge-2"), ("chat-0", "chat-1", "chat-2"), "nats-server"


def _script(seed: int, *, short: bool = False) -> list[Step]:
    return script(seed, edges=EDGES, folds=FOLDS, log=LOG, short=short)


@pytest.mark.parametrize("seed", range(1, 21))
def test_a_seed_does_every_kind_of_harm_and_always_the_same(seed: int) -> None:
    steps = _script(seed)

    assert {step.blow for step in steps} == set(Blow)
    assert any(step.targets == (LOG,) for step in steps)
    assert any(len(step.targets) > 1 for step in steps)
    assert all(step.for_ms > LEASE_MS for step in steps if step.blow is Blow.STALL)
    assert _script(seed) == steps


def test_other_seeds_do_other_things() -> None:
    assert len({tuple(_script(seed)) for seed in range(1, 21)}) == 20


@pytest.mark.parametrize("seed", [1, 2])
def test_the_short_form_kills_each_kind_of_process_and_all(seed: int) -> None:
    steps = _script(seed, short=True)
    alone = {step.targets[0].partition("-")[0] for step in steps if len(step.targets) == 1}

    assert alone == {"nats", "edge", "chat"}
    assert [step.blow for step in steps].count(Blow.KILL_ALL) == 1
    assert any(len(step.targets) > 1 for step in steps)
