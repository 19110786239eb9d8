"""Ids made by one process are version 7, tell the time, and never go back."""

import uuid
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from petit.contracts.ids import is_uuid, uuid7_ms
from petit.kit.clock import Clock, SystemClock
from petit.kit.ids import Uuid7Maker


@dataclass(slots=True)
class Hands:
    """A clock that tests move."""

    ms: int

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_it() -> None:
    made = Uuid7Maker(Hands(1_795_000_000_123))()

    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert is_uuid(str(made))
    assert uuid7_ms(str(made)) == 1_795_000_000_123


@given(times=st.lists(st.integers(1_700_000_000_000, 1_700_000_000_050), min_size=1, max_size=300))
def test_ids_never_go_back_whatever_the_clock_does(times: list[int]) -> None:
    clock = Hands(0)
    make = Uuid7Maker(clock)
    made = []
    for clock.ms in times:
        made.append(make())

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_more_ids_than_a_millisecond_counts_borrow_from_the_next() -> None:
    make = Uuid7Maker(Hands(1_795_000_000_000))

    made = [make() for _ in range(10_000)]

    assert made == sorted(set(made))
    assert uuid7_ms(str(made[-1])) in range(1_795_000_000_001, 1_795_000_000_005)


def test_two_makers_do_not_meet() -> None:
    one, two = (Uuid7Maker(Hands(1_795_000_000_000)) for _ in range(2))

    assert not {one() for _ in range(1_000)} & {two() for _ in range(1_000)}


def test_a_clock_may_be_wrong_on_purpose() -> None:
    right: Clock = SystemClock()
    wrong: Clock = SystemClock(ahead_ms=-60_000)

    assert abs(right.now_ms() - wrong.now_ms() - 60_000) < 1_000
    assert abs(right.monotonic() - wrong.monotonic()) < 1
