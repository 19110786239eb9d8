"""Whether a run kept the promises: every acknowledged message once, in order, on every device, and nobody else's.

Pure: it takes the evidence and returns what is wrong with it, in words; nothing, where all is well.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from petit.contracts.resources import Message
from petit.contracts.rpc import BACKLOG_LIMIT
from tests.prove.evidence import Attempt, Evidence, Shown, Stay, Told

FEWEST_MISSED: Final = BACKLOG_LIMIT // 2
"""Messages of a chat that a device must have missed to be told of a gap: its bound counts every signal."""


def violations(evidence: Evidence) -> list[str]:
    """Return every broken promise."""
    return [*_of_histories(evidence), *_of_writers(evidence), *_of_devices(evidence)]


# ── history ──────────────────────────────────────────────────────────────────────────────────────────


def _of_histories(evidence: Evidence) -> Iterator[str]:
    for chat, readers in evidence.histories.items():
        histories = list(readers.items())
        first, messages = histories[0]
        for reader, others in histories[1:]:
            if others != messages:
                yield f"chat {chat}: {first} and {reader} read different histories"
        if [message.seq for message in messages] != list(range(1, len(messages) + 1)):
            yield f"chat {chat}: seq is {[message.seq for message in messages]}"
        for earlier, later in pairwise(messages):
            if earlier.offset >= later.offset:
                yield f"chat {chat}: offset {earlier.offset} comes before {later.offset}"
        for id, count in Counter(message.id for message in messages).items():
            if count > 1:
                yield f"chat {chat}: message {id} is in history {count} times"


# ── writers ──────────────────────────────────────────────────────────────────────────────────────────


def _of_writers(evidence: Evidence) -> Iterator[str]:
    stored: dict[str, Message] = {
        message.id: message for readers in evidence.histories.values() for message in next(iter(readers.values()))
    }
    attempts = {attempt.id: attempt for attempt in evidence.attempts}
    for attempt in evidence.attempts:
        message = stored.get(attempt.id)
        if message is not None:
            yield from _differences(attempt, message)
        elif attempt.sent is not None:
            yield f"message {attempt.id}, acknowledged at offset {attempt.sent.offset}, is not in history: LOST"
    for id in stored.keys() - attempts.keys():
        yield f"message {id} is in history, and nobody sent it"
    yield from _disorder(evidence.attempts)


def _differences(attempt: Attempt, message: Message) -> Iterator[str]:
    if (message.chat, message.by, message.text) != (attempt.chat, attempt.by, attempt.text):
        yield f"message {attempt.id} is not what was sent: {message!r}"
    if attempt.sent is not None and (message.offset, message.at) != (attempt.sent.offset, attempt.sent.at):
        yield (
            f"message {attempt.id} was acknowledged at offset {attempt.sent.offset} ({attempt.sent.at}) "
            f"and stands at {message.offset} ({message.at})"
        )


def _disorder(attempts: Sequence[Attempt]) -> Iterator[str]:
    """A writer waits for each answer, so what was acknowledged first stands first."""
    last: dict[str, int] = {}
    for attempt in attempts:
        if attempt.sent is None:
            continue
        if attempt.sent.offset <= last.get(attempt.by, 0):
            yield f"message {attempt.id} of {attempt.by} stands before one that they sent earlier"
        last[attempt.by] = attempt.sent.offset


# ── devices ──────────────────────────────────────────────────────────────────────────────────────────


def _of_devices(evidence: Evidence) -> Iterator[str]:
    for device in evidence.devices:
        yield from _out_of_order(device)
        mine = {chat: stays[device.user] for chat, stays in evidence.stays.items() if device.user in stays}
        for signal in device.shown:
            if signal.chat not in mine:
                yield f"{device.name} was shown {signal.type} {signal.id} of chat {signal.chat}: FOREIGN"
            elif not any(signal.offset in stay for stay in mine[signal.chat]):
                yield f"{device.name} was shown offset {signal.offset} of {signal.chat}, where they were not: FOREIGN"
        for chat, stays in mine.items():
            yield from _of_chat(device, chat=chat, stays=stays, evidence=evidence)


def _out_of_order(device: Told) -> Iterator[str]:
    last = device.began
    for signal in device.shown:
        if signal.offset <= last:
            yield f"{device.name} was shown offset {signal.offset} after {last}"
        last = max(last, signal.offset)


def _of_chat(device: Told, *, chat: str, stays: Sequence[Stay], evidence: Evidence) -> Iterator[str]:
    """What was shown is in history, with its seq; in the last stay, all of history was shown.

    What was written in an earlier stay may be missing where the device was away until it was over.
    """
    messages = next(iter(evidence.histories[chat].values()))
    shown = [signal for signal in device.shown if signal.chat == chat and signal.type == "msg"]
    history: dict[int, Message] = {message.offset: message for message in messages}
    for signal in shown:
        message = history.get(signal.offset)
        if message is None or _as_shown(message) != _as_compared(signal):
            yield f"{device.name} was shown {signal}, and history has {message!r}"
    gaps = [gap for gap in device.gaps if gap.chat == chat]
    for gap in gaps:
        if sum(message.offset > gap.after for message in messages) < FEWEST_MISSED:
            yield f"{device.name} was told of {gap}, and never was that far behind"
    offsets = {signal.offset for signal in shown}
    for message in messages:
        if any(gap.after < message.offset <= gap.to for gap in gaps):
            continue  # to be paged: it is in history
        if message.offset > device.began and message.offset in stays[-1] and message.offset not in offsets:
            yield f"{device.name} never saw message {message.id}, seq {message.seq} of chat {chat}: GAP"


def _as_shown(message: Message) -> tuple[str, int, str, str]:
    return message.id, message.seq, message.by, message.text


def _as_compared(signal: Shown) -> tuple[str, int | None, str, str | None]:
    return signal.id, signal.seq, signal.by, signal.text
