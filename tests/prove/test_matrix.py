"""The fault matrix's script: a seed decides all of it, and every part has its turn."""

from tests.prove.matrix import LEADER, Blow, Harm, matrix

EDGES, FOLDS, LOGS = ("gateway-0", "notifier-0"), ("chat-0", "chat-1"), ("nats-0", "nats-1", "nats-2")


def _matrix(seed: int, *, short: bool = False) -> list[Blow]:
    return matrix(seed, edges=EDGES, folds=FOLDS, logs=LOGS, store="cassandra", issuer="keycloak", short=short)


def test_a_seed_gives_the_same_blows_again() -> None:
    assert _matrix(7) == _matrix(7)
    assert _matrix(7) != _matrix(8)


def test_every_part_is_hit_by_every_seed() -> None:
    for seed in range(20):
        for short in (True, False):
            victims = {blow.victim for blow in _matrix(seed, short=short)}
            assert {LEADER, "cassandra", "keycloak"} <= victims
            assert all(victims & set(part) for part in (EDGES, FOLDS, LOGS))


def test_an_owner_sleeps_for_twenty_seconds_and_the_store_is_gone_for_a_minute() -> None:
    full = {(blow.harm, blow.for_s) for blow in _matrix(1)}
    assert {(Harm.PAUSE, 20.0), (Harm.CUT, 60.0)} <= full
    assert all(blow.for_s <= 5.0 for blow in _matrix(1, short=True))


def test_twenty_seeds_hold_every_harm_to_every_kind_of_part() -> None:
    hits = {(blow.harm, blow.victim.partition("-")[0]) for seed in range(1, 21) for blow in _matrix(seed)}
    for part in ("gateway", "notifier", "chat", "nats", LEADER.partition("-")[0], "keycloak", "cassandra"):
        assert {harm for harm, victim in hits if victim == part} == set(Harm), part
