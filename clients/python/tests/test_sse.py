"""The event-stream parser, against the standard's own examples and against every way to cut the bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petit.client import sse
from petit.client.sse import Event, LineTooLong, Parser


def parse(text: str | bytes) -> list[Event]:
    return Parser().feed(text.encode() if isinstance(text, str) else text)


def test_a_frame_of_ours_is_an_event() -> None:
    [event] = parse('id: AQ\nevent: signal\ndata: {"offset":7}\n\n')

    assert event == Event(id="AQ", event="signal", data='{"offset":7}')


def test_lines_of_data_are_joined_by_line_feeds() -> None:
    assert [event.data for event in parse("data: YHOO\ndata: +2\ndata: 10\n\n")] == ["YHOO\n+2\n10"]


def test_comments_and_unknown_fields_mean_nothing() -> None:
    assert parse(": still here\n\nfoo: bar\n: again\ndata\n\n") == [Event(id="", event="message", data="")]


def test_only_one_space_after_the_colon_is_dropped() -> None:
    assert [event.data for event in parse("data:test\n\ndata: test\n\ndata:  test\n\n")] == ["test", "test", " test"]


def test_the_standards_example_of_empty_data() -> None:
    assert [event.data for event in parse("data\n\ndata\ndata\n\ndata:")] == ["", "\n"]


def test_an_id_lasts_until_the_next_and_an_empty_one_resets_it() -> None:
    assert [event.id for event in parse("data: a\nid: 1\n\ndata: b\n\ndata: c\nid\n\n")] == ["1", "1", ""]


def test_an_id_without_data_still_counts_for_later_events() -> None:
    assert parse("id: 5\n\ndata: x\n\n") == [Event(id="5", event="message", data="x")]


def test_an_id_with_a_nul_is_ignored() -> None:
    assert [event.id for event in parse("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n")] == ["1", "1"]


def test_an_event_name_ends_with_its_event_even_without_data() -> None:
    assert [event.event for event in parse("event: gone\n\ndata: x\n\n")] == ["message"]


def test_a_byte_order_mark_at_the_start_is_dropped() -> None:
    assert [event.data for event in parse(b"\xef\xbb\xbfdata: x\n\n")] == ["x"]


def test_the_server_says_how_long_to_wait() -> None:
    parser = Parser()

    parser.feed(b"retry: 2500\nretry: soon\n")

    assert parser.retry_ms == 2500


def test_broken_utf_8_is_replaced_and_hurts_nothing_else() -> None:
    assert [event.data for event in parse(b"data: \xff\n\ndata: fine\n\n")] == ["\ufffd", "fine"]


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_LINE", 100)
    parser = Parser()
    for _ in range(10):
        parser.feed(b"x" * 10)

    with pytest.raises(LineTooLong):
        parser.feed(b"x")


word = st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), max_size=12)
field = st.one_of(
    word.map(lambda text: f"data: {text}"),
    word.map(lambda text: f"data:{text}"),
    word.map(lambda text: f"event: {text}"),
    word.map(lambda text: f"id: {text}"),
    word.map(lambda text: f": {text}"),
    word,
    st.sampled_from(["", "", "data", "retry: 10", "\ufeffdata: mark"]),
)
end = st.sampled_from(["\n", "\r", "\r\n"])
stream = st.lists(st.tuples(field, end), max_size=30).map(lambda lines: "".join(a + b for a, b in lines).encode())


@given(text=stream, data=st.data())
def test_it_does_not_matter_where_the_bytes_are_cut(text: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    parser = Parser()

    pieces = [text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    events = [event for piece in pieces for event in parser.feed(piece)]

    assert events == parse(text)


@given(text=stream)
def test_byte_by_byte_is_the_same_as_at_once(text: bytes) -> None:
    parser = Parser()

    events = [event for byte in text for event in parser.feed(bytes([byte]))]

    assert events == parse(text)


@given(lines=st.lists(field, max_size=30), one=end, other=end)
def test_the_three_line_ends_mean_the_same(lines: list[str], one: str, other: str) -> None:
    joined = [ending.join(lines) + ending for ending in (one, other)]

    assert parse(joined[0]) == parse(joined[1])
