"""Property: views are published at most once in two seconds, never back, and the furthest always arrives."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from petit.contracts.ids import Seq
from petit.gateway.domain.views import WINDOW_S, Coalescer, Marks

steps = st.lists(
    st.tuples(st.floats(0, 3), st.sampled_from(["ada", "bob", "cat"]), st.integers(1, 20)), min_size=1, max_size=60
)


def published(steps: list[tuple[float, str, int]], *, tick_s: float = 0.25) -> dict[str, list[tuple[float, int]]]:
    """Run offers through a coalescer, closing windows as a timer would; return what was published when, by key."""
    coalescer: Coalescer[str] = Coalescer()
    shown: dict[str, list[tuple[float, int]]] = {}
    now = ticked = 0.0
    for pause, key, seq in steps:
        now += pause
        while ticked + tick_s <= now:
            ticked += tick_s
            for due_key, due_seq in coalescer.due(now=ticked):
                shown.setdefault(due_key, []).append((ticked, due_seq))
        if coalescer.offer(key, Seq(seq), now=now):
            shown.setdefault(key, []).append((now, seq))
    for key, seq in coalescer.drain():
        shown.setdefault(key, []).append((now + WINDOW_S, seq))
    return shown


@given(steps=steps)
def test_two_views_of_a_key_are_two_seconds_apart(steps: list[tuple[float, str, int]]) -> None:
    for views in published(steps).values():
        times = [at for at, _ in views]
        assert all(later - earlier >= WINDOW_S - 1e-9 for earlier, later in pairwise(times[:-1]))


@given(steps=steps)
def test_within_open_windows_a_key_never_goes_back(steps: list[tuple[float, str, int]]) -> None:
    coalescer: Coalescer[str] = Coalescer()
    latest: dict[str, int] = {}
    for _, key, seq in steps:  # no time passes: every window stays open
        if coalescer.offer(key, Seq(seq), now=0.0):
            assert key not in latest
        latest[key] = max(seq, latest.get(key, 0))
    first = {key: next(seq for _, other, seq in steps if other == key) for key in latest}

    assert dict(coalescer.drain()) == {key: seq for key, seq in latest.items() if seq > first[key]}


@given(steps=steps)
def test_the_furthest_view_is_published(steps: list[tuple[float, str, int]]) -> None:
    shown = published(steps)

    for key in {key for _, key, _ in steps}:
        furthest = max(seq for _, other, seq in steps if other == key)
        assert max(seq for _, seq in shown[key]) == furthest


@given(steps=steps)
def test_keys_do_not_touch_one_another(steps: list[tuple[float, str, int]]) -> None:
    together = published(steps)
    now, alone = 0.0, []
    for pause, key, seq in steps:
        now += pause
        if key == "ada":
            alone.append((now, key, seq))
    pauses = [
        (at - before, key, seq) for before, (at, key, seq) in zip([0.0, *(a for a, _, _ in alone)], alone, strict=False)
    ]

    assert [seq for _, seq in together.get("ada", [])] == [seq for _, seq in published(pauses).get("ada", [])]


def test_an_empty_coalescer_has_nothing_to_do() -> None:
    coalescer: Coalescer[str] = Coalescer()
    assert coalescer.next_close() is None

    coalescer.offer("ada", Seq(1), now=10.0)
    assert coalescer.next_close() == 12.0
    assert coalescer.due(now=11.9) == []
    assert coalescer.due(now=12.0) == []
    assert coalescer.next_close() is None


def test_a_view_that_failed_may_be_offered_again() -> None:
    coalescer: Coalescer[str] = Coalescer()
    coalescer.offer("ada", Seq(1), now=0.0)

    coalescer.forget("ada")

    assert coalescer.offer("ada", Seq(1), now=0.1)


@given(puts=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 100)), max_size=100))
def test_marks_grow_and_are_bounded(puts: list[tuple[int, int]]) -> None:
    marks: Marks[int] = Marks(capacity=5)
    for key, seq in puts:
        before = marks.get(key)
        marks.put(key, Seq(seq))
        assert marks.get(key) == max(seq, before or 0)

    assert sum(marks.get(key) is not None for key in range(10)) <= 5


def test_marks_learn_only_what_is_remembered() -> None:
    marks: Marks[str] = Marks()
    marks.put("ada", Seq(3))

    marks.learn("ada", Seq(5))
    marks.learn("ada", Seq(4))
    marks.learn("bob", Seq(4))

    assert marks.get("ada") == 5
    assert marks.get("bob") is None
