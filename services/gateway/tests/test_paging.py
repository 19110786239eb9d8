"""Property: a list's cursor comes back as it went, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from petit.gateway.domain.paging import MAX_WORD, BadWord, place, word

SHAPE = TypeAdapter(tuple[int, str])
places = st.tuples(st.integers(0, 2**53), st.text(max_size=200))


@given(at=places, of=st.text(max_size=250))
def test_a_word_stands_for_its_place(at: tuple[int, str], of: str) -> None:
    text = word(at, of=of)

    assert place(text, SHAPE, of=of) == at
    assert len(text) <= MAX_WORD
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(at=places, of=st.text(max_size=20), other=st.text(max_size=20))
def test_a_word_belongs_to_one_list(at: tuple[int, str], of: str, other: str) -> None:
    if of == other:
        return
    with pytest.raises(BadWord):
        place(word(at, of=of), SHAPE, of=other)


@given(at=places, data=st.data())
def test_a_word_that_was_changed_is_none(at: tuple[int, str], data: st.DataObject) -> None:
    text = word(at, of="list")
    index = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("Aa0-_=+/ \n"))
    changed = text[:index] + letter + text[index + 1 :]

    if changed != text:
        with pytest.raises(BadWord):
            place(changed, SHAPE, of="list")
    with pytest.raises(BadWord):
        place(text[:index], SHAPE, of="list")


@given(text=st.text(max_size=100))
def test_made_up_words_are_none(text: str) -> None:
    with pytest.raises(BadWord):
        place(text, SHAPE, of="list")


def test_a_place_of_another_shape_is_none() -> None:
    with pytest.raises(BadWord):
        place(word(("a", "b"), of="list"), SHAPE, of="list")
