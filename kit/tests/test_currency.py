"""A feed is current when it has delivered all that there is, and only then, whatever a server counts."""

import math
import time

import pytest

from petit.kit import currency
from petit.kit.currency import Currency
from petit.kit.jetstream import STALE_S


class Clock:
    """Stands in for `time`."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(currency, "time", made)
    return made


@pytest.mark.usefixtures("clock")
def test_the_last_entry_makes_it_current() -> None:
    of = Currency()

    of.deliver(1, number=1, pending=1)
    assert of.lag_s == math.inf

    of.deliver(2, number=2, pending=0)
    assert of.lag_s == 0


def test_while_entries_go_on_coming_what_was_there_at_a_moment_counts(clock: Clock) -> None:
    of = Currency()

    of.deliver(1, number=1, pending=2)
    clock.now += 0.1
    of.deliver(2, number=2, pending=2)
    assert of.lag_s == math.inf

    clock.now += 0.1
    of.deliver(3, number=3, pending=2)
    assert of.lag_s == pytest.approx(0.2)


def test_a_burst_after_a_rest_does_not_make_it_older(clock: Clock) -> None:
    of = Currency()
    of.deliver(1, number=1, pending=0)
    clock.now += 600
    of.reach(1, at=clock.now)

    of.deliver(2, number=2, pending=5)

    assert of.lag_s == 0


def test_a_node_that_stops_sending_makes_nothing_current(clock: Clock) -> None:
    """It sends heartbeats all the same."""
    of = Currency()
    of.tell(90, asked=clock.now)
    of.deliver(100, number=1, pending=50)

    of.reach(100, at=clock.now)
    assert of.lag_s == math.inf
    assert of.end == 150

    of.tell(150, asked=clock.now)
    of.reach(100, at=clock.now)
    assert of.lag_s == math.inf


def test_a_quiet_log_is_current_though_more_was_counted_than_there_is(clock: Clock) -> None:
    of = Currency()
    of.deliver(10, number=1, pending=1)
    clock.now += 1
    of.reach(10, at=clock.now)
    assert of.lag_s == math.inf

    of.tell(10, asked=clock.now)
    of.reach(10, at=clock.now)

    assert of.lag_s == 0
    assert of.end == 10


def test_what_was_counted_after_the_stream_was_asked_still_counts(clock: Clock) -> None:
    of = Currency()
    asked = clock.now
    clock.now += 0.1
    of.deliver(10, number=1, pending=1)

    of.tell(10, asked=asked)

    assert of.end == 11


@pytest.mark.parametrize("last", [10, 12])
def test_a_node_that_has_less_than_the_stream_makes_nothing_current(clock: Clock, last: int) -> None:
    of = Currency()
    of.tell(last, asked=clock.now)
    for number, offset in enumerate(range(5, 10), start=1):
        of.deliver(offset, number=number, pending=0)
        of.reach(offset, at=clock.now)
    assert of.lag_s == math.inf

    of.reach(last, at=clock.now)
    assert of.lag_s == 0


def test_a_mark_of_a_node_that_had_less_is_no_mark(clock: Clock) -> None:
    of = Currency()
    of.tell(100, asked=clock.now)

    of.deliver(10, number=1, pending=1)
    of.deliver(11, number=2, pending=1)

    assert of.lag_s == math.inf


def test_a_stream_that_lost_its_end_is_believed_after_a_while(clock: Clock) -> None:
    of = Currency()
    of.tell(100, asked=clock.now)
    clock.now += STALE_S
    of.tell(99, asked=clock.now)
    assert of.end == 100

    clock.now += 1
    of.tell(99, asked=clock.now)
    of.reach(99, at=clock.now)

    assert of.lag_s == 0


def test_what_was_sought_is_not_current_until_it_is_reached(clock: Clock) -> None:
    of = Currency()
    of.tell(10, asked=clock.now)
    of.reach(10, at=clock.now)

    of.forget()
    of.begin()
    of.deliver(9, number=1, pending=1)
    assert of.lag_s == math.inf

    of.deliver(10, number=2, pending=0)
    assert of.lag_s == 0


def test_it_grows_older_by_itself() -> None:
    of = Currency()
    of.reach(0, at=time.monotonic() - 5)

    assert 5 <= of.lag_s < 6
