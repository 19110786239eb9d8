"""What a run under faults leaves behind: who was told what. Plain values, so that a verdict needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from petit.contracts.resources import Message, Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One message that somebody wanted to send, tried again and again under one id."""

    id: str
    by: str
    chat: str
    text: str
    sent: Sent | None
    """What the writer was told; None: nothing, until they gave it up. It may be stored or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One `signal` frame on a device."""

    offset: int
    seq: int | None
    id: str
    type: str
    chat: str | None
    by: str
    text: str | None = None
    """Of a `msg`."""
    user: str | None = None
    """Who joined or left."""


class Gap(NamedTuple):
    """What a device was told to page instead: signals of one chat in (after, to]."""

    chat: str
    after: int
    to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything that one device was told over all its connections, in the order of arrival."""

    name: str
    """For people: whose it is, which transports it used."""
    user: str
    began: int
    """The offset of the first `hello`: what is stored after it concerns this device."""
    shown: Sequence[Shown]
    gaps: Sequence[Gap] = ()
    """Where it was sent to history, because it had missed too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """Somebody is a member from one offset to another, both included."""

    first: int
    last: int | None = None
    """None: to the end."""

    def __contains__(self, offset: int) -> bool:
        return self.first <= offset and (self.last is None or offset <= self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One run."""

    stays: Mapping[str, Mapping[str, Sequence[Stay]]]
    """By chat and user; in order, and not overlapping."""
    attempts: Sequence[Attempt]
    """Each writer's in the order in which they were begun."""
    histories: Mapping[str, Mapping[str, Sequence[Message]]]
    """By chat and reader: all pages, ascending, read after everything was quiet."""
    devices: Sequence[Told]
