"""Ids that carry the server's time, whatever our own clock says."""

from hypothesis import given
from hypothesis import strategies as st

from petit.client.clock import IdMaker, ServerClock
from petit.contracts.ids import is_uuid, timestamp, uuid7_ms

NOON = 1_800_000_000_000


def test_a_small_difference_is_latency_and_changes_nothing() -> None:
    clock = ServerClock(wall_ms=lambda: NOON)

    clock.learn(timestamp(NOON - 800))

    assert clock.now_ms() == NOON


def test_a_clock_that_is_a_week_ahead_is_put_right() -> None:
    clock = ServerClock(wall_ms=lambda: NOON + 7 * 86_400_000)

    clock.learn(timestamp(NOON))

    assert clock.now_ms() == NOON
    assert uuid7_ms(IdMaker(clock)()) == NOON


def test_ids_made_after_a_correction_carry_the_corrected_time() -> None:
    clock = ServerClock(wall_ms=lambda: NOON + 3_600_000)
    new_id = IdMaker(clock)
    new_id()

    clock.learn(timestamp(NOON))

    assert uuid7_ms(new_id()) == NOON


@given(readings=st.lists(st.integers(NOON, NOON + 1_999), min_size=2, max_size=50))
def test_ids_increase_while_the_clock_stumbles(readings: list[int]) -> None:
    clock = iter(readings)
    new_id = IdMaker(ServerClock(wall_ms=lambda: next(clock)))

    ids = [new_id() for _ in readings]

    assert ids == sorted(set(ids))
    assert all(is_uuid(each) for each in ids)
