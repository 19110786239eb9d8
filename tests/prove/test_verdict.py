"""A verdict that finds nothing wrong with a good run, and every fault that is planted into it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from petit.contracts.ids import ChatId, Offset, Seq, SignalId, Timestamp, UserId
from petit.contracts.resources import Message, Sent
from tests.prove.evidence import Attempt, Evidence, Gap, Shown, Stay, Told
from tests.prove.verdict import FEWEST_MISSED, violations

HERE, ELSEWHERE = "here", "elsewhere"
OFFSETS = (11, 13, 17, 20)
"""Of four messages: ada's and bob's in turn."""
BEGAN = 10


def _message(number: int) -> Message:
    return Message(
        id=SignalId(f"m{number}"),
        seq=Seq(number + 1),
        offset=Offset(OFFSETS[number]),
        chat=ChatId(HERE),
        by=UserId(("ada", "bob")[number % 2]),
        at=Timestamp(f"2030-01-01T00:00:0{number}.000Z"),
        text=f"text {number}",
    )


MESSAGES = [_message(number) for number in range(4)]


def _attempt(message: Message) -> Attempt:
    sent = Sent(id=message.id, chat=message.chat, by=message.by, at=message.at, offset=message.offset)
    return Attempt(id=message.id, by=message.by, chat=message.chat, text=message.text, sent=sent)


def _shown(message: Message) -> Shown:
    return Shown(
        offset=message.offset,
        seq=message.seq,
        id=message.id,
        type="msg",
        chat=message.chat,
        by=message.by,
        text=message.text,
    )


def _device(user: str) -> Told:
    return Told(name=user, user=user, began=BEGAN, shown=[_shown(message) for message in MESSAGES])


GOOD = Evidence(
    stays={HERE: {"ada": [Stay(first=0)], "bob": [Stay(first=0)]}, ELSEWHERE: {"cat": [Stay(first=0)]}},
    attempts=[_attempt(message) for message in MESSAGES],
    histories={HERE: {"ada": MESSAGES, "bob": MESSAGES}, ELSEWHERE: {"cat": []}},
    devices=[_device("ada"), _device("bob"), Told(name="cat", user="cat", began=BEGAN, shown=[])],
)


def _history(*messages: Message) -> Evidence:
    return replace(GOOD, histories={HERE: {"ada": messages, "bob": messages}, ELSEWHERE: {"cat": []}})


def _screen(*shown: Shown) -> Evidence:
    return replace(GOOD, devices=[_device("ada"), replace(_device("bob"), shown=shown)])


def _frame(number: int, **changes: object) -> Shown:
    return replace(_shown(MESSAGES[number]), **changes)  # type: ignore[arg-type]  # the names are those of the fields


M0, M1, M2, M3 = MESSAGES
S0, S1, S2, S3 = map(_shown, MESSAGES)
PLANTED: dict[str, tuple[Callable[[], Evidence], str]] = {
    "a lost message": (lambda: _history(M0, M1, M2), "LOST"),
    "a lost message whose seq was given to the next": (
        lambda: _history(M0, M1, M3.model_copy(update={"seq": 3})),
        "LOST",
    ),
    "a message that is there twice": (
        lambda: _history(*MESSAGES, M3.model_copy(update={"seq": 5, "offset": 21})),
        "is in history 2 times",
    ),
    "a hole in seq": (lambda: _history(M0, M1, M2, M3.model_copy(update={"seq": 5})), "seq is [1, 2, 3, 5]"),
    "messages in another order than the log's": (
        lambda: _history(M0, M1, M2.model_copy(update={"offset": 12}), M3),
        "comes before",
    ),
    "a message that nobody sent": (lambda: replace(GOOD, attempts=GOOD.attempts[1:]), "nobody sent it"),
    "another text": (lambda: _history(M0.model_copy(update={"text": "else"}), M1, M2, M3), "not what was sent"),
    "another place than was acknowledged": (
        lambda: _history(M0, M1, M2, M3.model_copy(update={"offset": 21})),
        "was acknowledged at offset 20",
    ),
    "members who read different histories": (
        lambda: replace(GOOD, histories={**GOOD.histories, HERE: {"ada": MESSAGES, "bob": MESSAGES[:3]}}),
        "read different histories",
    ),
    "a writer's messages in another order": (
        lambda: replace(GOOD, attempts=[GOOD.attempts[number] for number in (2, 1, 0, 3)]),
        "before one that they sent earlier",
    ),
    "a message that a device never saw": (lambda: _screen(S0, S2, S3), "never saw message m1"),
    "the last message never seen": (lambda: _screen(S0, S1, S2), "never saw message m3"),
    "a message shown twice": (lambda: _screen(S0, S1, S1, S2, S3), "was shown offset 13 after 13"),
    "messages shown out of order": (lambda: _screen(S0, S2, S1, S3), "was shown offset 13 after 17"),
    "another seq than history's": (lambda: _screen(S0, S1, _frame(2, seq=4), S3), "and history has"),
    "another text than history's": (lambda: _screen(S0, S1, _frame(2, text="else"), S3), "and history has"),
    "a message that history does not have": (lambda: _screen(S0, S1, S2, S3, _frame(3, offset=22)), "has None"),
    "somebody else's chat": (lambda: _screen(S0, S1, S2, S3, _frame(3, offset=22, chat=ELSEWHERE)), "FOREIGN"),
    "a chat after leaving it": (
        lambda: replace(GOOD, stays={**GOOD.stays, HERE: {"ada": [Stay(first=0)], "bob": [Stay(first=0, last=17)]}}),
        "FOREIGN",
    ),
    "a chat between two stays": (
        lambda: replace(
            GOOD,
            stays={**GOOD.stays, HERE: {"ada": [Stay(first=0)], "bob": [Stay(first=0, last=12), Stay(first=14)]}},
        ),
        "was shown offset 13 of here, where they were not",
    ),
}


def test_a_good_run_is_found_good() -> None:
    assert violations(GOOD) == []


@pytest.mark.parametrize(("plant", "found"), PLANTED.values(), ids=PLANTED)
def test_it_finds(plant: Callable[[], Evidence], found: str) -> None:
    assert any(found in violation for violation in violations(plant())), violations(plant())


def test_a_message_that_was_given_up_may_be_there_or_not() -> None:
    given_up = replace(GOOD.attempts[3], sent=None)
    attempts = [*GOOD.attempts[:3], given_up, replace(given_up, id="another")]

    assert violations(replace(GOOD, attempts=attempts)) == []


def test_what_was_before_a_device_began_is_not_missed() -> None:
    device = replace(_device("bob"), began=13, shown=[S2, S3])

    assert violations(replace(GOOD, devices=[device])) == []


def test_what_was_missed_in_an_earlier_stay_is_paged_and_not_missed() -> None:
    stays = {**GOOD.stays, HERE: {"ada": [Stay(first=0)], "bob": [Stay(first=0, last=12), Stay(first=18)]}}
    device = replace(_device("bob"), shown=[S3])

    assert violations(replace(GOOD, stays=stays, devices=[device])) == []


def _far_behind(gap: Gap) -> Evidence:
    """Give a run of many messages of which one device was shown the last only, and told of a gap before it."""
    history = [
        MESSAGES[0].model_copy(update={"id": SignalId(f"n{n}"), "seq": Seq(n), "offset": Offset(BEGAN + n)})
        for n in range(1, FEWEST_MISSED + 2)
    ]
    return replace(
        GOOD,
        attempts=[_attempt(message) for message in history],
        histories={HERE: {"ada": history}, ELSEWHERE: {"cat": []}},
        devices=[replace(_device("ada"), shown=[_shown(history[-1])], gaps=[gap])],
    )


def test_who_was_told_of_a_gap_pages_what_it_missed() -> None:
    assert violations(_far_behind(Gap(chat=HERE, after=BEGAN, to=BEGAN + FEWEST_MISSED))) == []


def test_a_gap_that_says_less_than_was_missed_is_one() -> None:
    [found] = violations(_far_behind(Gap(chat=HERE, after=BEGAN, to=BEGAN + FEWEST_MISSED - 1)))

    assert "GAP" in found


def test_a_gap_that_is_told_to_who_missed_little_is_found() -> None:
    short = replace(GOOD, devices=[replace(_device("ada"), gaps=[Gap(chat=HERE, after=BEGAN, to=BEGAN + 1)])])

    [found] = violations(short)

    assert "never was that far behind" in found
