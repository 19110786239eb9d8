"""Cursors, ids and subjects: derived the same everywhere, and safe against what clients make of them."""

import uuid
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petit.contracts import subjects
from petit.contracts.cursor import MAX_TEXT, BadCursor, Cursor
from petit.contracts.ids import (
    ChatId,
    Epoch,
    Offset,
    UserId,
    dm_chat_id,
    is_user,
    is_uuid,
    nonce_id,
    timestamp,
    timestamp_ms,
    uuid7_ms,
)

users = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True).map(UserId)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_a_cursor_survives_the_wire_and_stays_short(epoch: int, offset: int) -> None:
    cursor = Cursor(Epoch(epoch), Offset(offset))

    assert Cursor.parse(str(cursor)) == cursor
    assert len(str(cursor)) <= MAX_TEXT


@given(st.text(max_size=80) | st.binary(max_size=40).map(lambda raw: raw.hex()))
def test_what_is_not_a_cursor_of_ours_is_refused_or_read_back_as_it_is(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except BadCursor:
        return

    assert str(cursor) == text


@given(users, users)
def test_two_people_have_one_chat_whoever_asks(one: UserId, other: UserId) -> None:
    assert dm_chat_id(one, other) == dm_chat_id(other, one)
    assert is_uuid(dm_chat_id(one, other))


@given(users, st.text(min_size=1, max_size=64))
def test_a_nonce_is_one_id_for_a_person(user: UserId, nonce: str) -> None:
    assert nonce_id(user, nonce) == nonce_id(user, nonce)
    assert nonce_id(user, nonce) != nonce_id(user, nonce + "x")
    assert uuid7_ms(nonce_id(user, nonce)) is None


@given(st.integers(0, 4_102_444_800_000))
def test_times_keep_their_milliseconds(unix_ms: int) -> None:
    assert timestamp_ms(timestamp(unix_ms)) == unix_ms
    assert uuid7_ms(str(uuid.UUID(int=(unix_ms << 80) | (7 << 76) | (2 << 62)))) == unix_ms


@given(st.text(max_size=70))
def test_a_partition_is_the_sha256_of_the_key_mod_64(key: str) -> None:
    assert subjects.partition(key) == int.from_bytes(sha256(key.encode()).digest()[:8], "big") % 64


@pytest.mark.parametrize(
    ("signal_type", "family"),
    [("msg", "msg"), ("msg.void", "msg"), ("chat.created", "member"), ("left", "member"), ("view", "view")],
)
def test_a_chat_signal_is_stored_under_its_family(signal_type: str, family: str) -> None:
    chat = ChatId("019353a0-0000-7000-8000-0000000000c1")

    subject = subjects.chat_signal(chat, signal_type)
    parsed = subjects.parse(subject)

    assert parsed == subjects.StoredUnder(subjects.partition(chat), "chat", chat, family)


@pytest.mark.parametrize("subject", ["", "signal", "signal.x.chat.c.msg", "live.typing.c", "signal.3.chat.c"])
def test_a_subject_of_others_is_nobodys(subject: str) -> None:
    assert subjects.parse(subject) is None


def test_subjects_for_everyone_and_for_services_have_no_key() -> None:
    assert subjects.parse("signal.0.ops.rules") == subjects.StoredUnder(0, "ops", "", "rules")
    assert subjects.parse("signal.0.all.a.b") == subjects.StoredUnder(0, "all", "", "a.b")
    assert subjects.parse("signal.9.person.ada.block.on") == subjects.StoredUnder(9, "person", "ada", "block.on")


@pytest.mark.parametrize("text", ["", "a b", "é", "x" * 65, "a/b", "a\n"])
def test_a_user_id_is_what_the_contract_allows(text: str) -> None:
    assert not is_user(text)
