"""Which seqs a history request means."""

from hypothesis import given
from hypothesis import strategies as st

from petit.chat.domain.titles import folded
from petit.chat.domain.windows import window
from petit.contracts.ids import ChatId, Seq, UserId
from petit.contracts.rpc import HistoryAsk

places = st.integers(0, 45).map(Seq)


def seqs(first: int, head: int, limit: int, **place: int) -> list[int]:
    """Return the seqs of the page asked for."""
    ask = HistoryAsk.model_validate({"chat": ChatId("c"), "viewer": UserId("u"), "limit": limit, **place})
    asked = window(ask, first=Seq(first), head=Seq(head))
    return list(range(asked.first, asked.last + 1))


@given(chat=st.tuples(st.integers(1, 9), st.integers(0, 40)), limit=st.integers(1, 12), place=places)
def test_every_page_is_what_it_says(chat: tuple[int, int], limit: int, place: Seq) -> None:
    first, head = chat
    visible = list(range(first, head + 1))

    assert seqs(*chat, limit) == visible[-limit:]
    assert seqs(*chat, limit, before=place) == [seq for seq in visible if seq < place][-limit:]
    assert seqs(*chat, limit, after=place) == [seq for seq in visible if seq > place][:limit]
    assert seqs(*chat, limit, at=place) == [seq for seq in visible if seq >= place][:limit]


@given(chat=st.tuples(st.integers(1, 9), st.integers(1, 40)), limit=st.integers(1, 12), share=st.floats(0, 1))
def test_around_is_filled_and_has_its_seq_in_the_middle(chat: tuple[int, int], limit: int, share: float) -> None:
    first, length = chat
    head = first + length - 1
    place = first + round(share * (length - 1))

    page = seqs(first, head, limit, around=place)

    assert len(page) == min(limit, length)
    assert place in page
    before, after = page.index(place), len(page) - 1 - page.index(place)
    assert before <= after + 1 or page[-1] == head
    assert after <= before or page[0] == first


def test_titles_are_compared_without_case_width_or_composition() -> None:
    assert folded("Straße") == folded("STRASSE")
    assert folded("\uff26\uff35\uff2c\uff2c") == folded("full")
    assert folded("e\u0301") == folded("\u00c9")
