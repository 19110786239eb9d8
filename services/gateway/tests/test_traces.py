"""Traces go on behind the gateway, as part of the client's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petit.gateway.domain.traces import child_of
from services.gateway.tests.edge import Edge

SPAN = "00f067aa0ba902b7"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOD = f"00-{TRACE}-b7ad6b7169203331-01"


def test_a_trace_goes_on_under_our_own_span() -> None:
    assert child_of(GOOD.encode(), span=SPAN) == f"00-{TRACE}-{SPAN}-01"
    assert child_of(b"cc" + GOOD[2:].encode() + b"-what-comes-later", span=SPAN) == f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        GOOD.upper(),
        GOOD + "-x",
        "ff" + GOOD[2:],
        GOOD.replace(TRACE, "0" * 32),
        GOOD.replace("b7ad6b7169203331", "0" * 16),
        GOOD[:-1],
        GOOD + "\n",
    ],
)
def test_what_means_nothing_is_as_good_as_none(header: str) -> None:
    assert child_of(header.encode(), span=SPAN) is None


@given(header=st.binary(max_size=80))
def test_any_header_is_survived(header: bytes) -> None:
    child_of(header, span=SPAN)


async def test_a_request_with_a_bad_trace_is_answered_like_any_other(world: Edge) -> None:
    for header in (GOOD, "nonsense"):
        assert (await world.client("ada").get("/v1/me", headers={"traceparent": header})).status_code == 200
