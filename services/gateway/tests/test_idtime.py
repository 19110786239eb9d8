"""Property: whatever the clocks within their bounds, an id that goes straight to the log is known to its window."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from petit.contracts.ids import SignalId, UserId, nonce_id
from petit.gateway.domain.idtime import FRESH_MS, Ahead, Fresh, Old, judge, key_of

WINDOW_MS = 120_000
WRITING_MS = 10_000
SKEW_MS = 20_000
NOW_MS = 1_795_208_645_678

moments = st.integers(0, 2**47)
bits = st.integers(0, 2**74 - 1)


def uuid7(ms: int, rest: int = 0) -> SignalId:
    value = ms << 80 | 7 << 76 | (rest >> 62 & 0xFFF) << 64 | 2 << 62 | rest & (2**62 - 1)
    return SignalId(str(UUID(int=value)))


@given(made=moments, rest=bits, now=moments, fresh=st.integers(0, FRESH_MS))
def test_an_ids_own_time_decides(*, made: int, rest: int, now: int, fresh: int) -> None:
    key = uuid7(made, rest)

    decision = judge(key, now_ms=now, fresh_ms=fresh)

    if made < now - fresh:
        assert decision == Old(key)
    elif made > now + fresh:
        assert decision == Ahead(made - now)
    else:
        assert decision == Fresh(key)


@given(
    made=st.integers(NOW_MS - 300_000, NOW_MS + 300_000),
    attempts=st.lists(
        st.tuples(st.integers(0, 300_000), st.integers(-SKEW_MS, SKEW_MS), st.integers(0, WRITING_MS)),
        min_size=2,
        max_size=6,
    ),
)
def test_attempts_that_ask_nobody_are_within_one_dedupe_window(made: int, attempts: list[tuple[int, int, int]]) -> None:
    """Each attempt: true time of the decision, how wrong that gateway's clock is, and how long writing took."""
    key = uuid7(made)

    written = [
        NOW_MS + at + took for at, skew, took in attempts if isinstance(judge(key, now_ms=NOW_MS + at + skew), Fresh)
    ]

    if written:
        assert max(written) - min(written) < WINDOW_MS


@given(now=moments, key=st.uuids(version=4) | st.uuids(version=5) | st.uuids(version=1))
def test_an_id_that_says_no_time_is_asked_about(now: int, key: object) -> None:
    assert judge(SignalId(str(key)), now_ms=now) == Old(SignalId(str(key)))


@given(nonce=st.text(min_size=1, max_size=64), key=st.uuids())
def test_the_id_is_the_key_and_a_plain_nonce_stands_for_one(nonce: str, key: object) -> None:
    ada, bob, given_id = UserId("ada"), UserId("bob"), SignalId(str(key))

    assert key_of(given_id, nonce, user=ada) == given_id
    assert key_of(None, None, user=ada) is None
    assert key_of(None, nonce, user=ada) == nonce_id(ada, nonce) != key_of(None, nonce, user=bob)
