"""A feed is current when it has delivered all that there is, and only then, whatever a server counts."""

import math

from petit.kit.currency import Currency


def test_the_last_entry_makes_it_current() -> None:
    currency = Currency()

    currency.deliver(1, number=1, pending=1)
    assert currency.lag_s == math.inf

    currency.deliver(2, number=2, pending=0)
    assert currency.lag_s < 1


def test_while_entries_go_on_coming_what_was_there_at_a_moment_counts() -> None:
    currency = Currency()

    currency.deliver(1, number=1, pending=2)
    currency.deliver(2, number=2, pending=2)
    assert currency.lag_s == math.inf

    currency.deliver(3, number=3, pending=2)
    assert currency.lag_s < 1


def test_a_quiet_log_is_current_though_more_was_counted_than_there_is() -> None:
    currency = Currency()
    currency.tell(10)
    currency.deliver(10, number=1, pending=1)
    assert currency.lag_s == math.inf

    currency.rest(10)

    assert currency.lag_s < 1
    assert currency.end == 10


def test_a_node_that_has_no_more_than_the_stream_held_makes_nothing_current() -> None:
    currency = Currency()
    currency.tell(12)
    currency.rest(10)
    assert currency.lag_s == math.inf

    currency.rest(12)
    assert currency.lag_s < 1


def test_what_was_sought_is_not_current_until_it_is_reached() -> None:
    currency = Currency()
    currency.tell(10)
    currency.rest(10)

    currency.forget()
    currency.begin()
    currency.deliver(9, number=1, pending=1)
    assert currency.lag_s == math.inf

    currency.deliver(10, number=2, pending=0)
    assert currency.lag_s < 1
