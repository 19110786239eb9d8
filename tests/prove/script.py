"""What is done to an installation under load, and when: decided by a seed alone, so that it can be done again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Blow(StrEnum):
    """One kind of harm."""

    KILL = "kill -9"
    """Processes end at once; the supervisor starts them again."""
    KILL_ALL = "kill -9 of all, up again"
    """The supervisor and everything it started; then `petit up` on the same data and port."""
    KILL_UP = "kill -9 of the supervisor, up again"
    """Only the supervisor; what it started must go with it."""
    STALL = "SIGSTOP, SIGCONT"
    """A process stands still for longer than its leases last, and goes on believing that it has them."""
    ASK = "SIGTERM"
    """Processes end in order; the supervisor starts them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One blow and its moment."""

    blow: Blow
    targets: tuple[str, ...] = ()
    """Names as in `run.json`; empty for everything."""
    after_sends: int = 0
    """Sends acknowledged since the step before: with 0, the blow falls into whatever the last one left."""
    after_ms: int = 0
    """And then so many milliseconds."""
    for_ms: int = 0
    """How long a process stands still."""

    def __str__(self) -> str:
        """Say it in a line."""
        length = f" for {self.for_ms} ms" if self.for_ms else ""
        what = f"{self.blow}{length} {', '.join(self.targets)}".rstrip()
        return f"after {self.after_sends} sends and {self.after_ms} ms: {what}"


LEASE_MS: Final = 2_000
"""For how long a fold owns a partition without renewing its lease."""
_MOST_SENDS: Final = 150
_MOST_MS: Final = 1_500
_STALL_MS: Final = (LEASE_MS + 300, 2 * LEASE_MS)


def script(seed: int, *, edges: Sequence[str], folds: Sequence[str], log: str, short: bool) -> list[Step]:
    """Return what this seed does.

    In full, each kind of harm is in it, and three more; the short one has the five kinds of `kill -9`.

    Args:
        seed: The same one gives the same script.
        edges: Names of the edges.
        folds: Names of the chats' folds.
        log: Name of the log server.
        short: For a run that has little time.
    """
    chance = random.Random(seed)
    everyone = [*edges, *folds, log]

    def some() -> tuple[str, ...]:
        return tuple(sorted(chance.sample(everyone, chance.randint(2, len(everyone) - 1))))

    kills = [
        Step(blow=Blow.KILL, targets=(log,)),
        Step(blow=Blow.KILL, targets=(chance.choice(edges),)),
        Step(blow=Blow.KILL, targets=(chance.choice(folds),)),
        Step(blow=Blow.KILL, targets=some()),
        Step(blow=Blow.KILL_ALL),
    ]
    others = [
        Step(blow=Blow.KILL, targets=some()),
        Step(blow=Blow.KILL_UP),
        Step(blow=Blow.STALL, targets=(chance.choice(folds),), for_ms=chance.randint(*_STALL_MS)),
        Step(blow=Blow.ASK, targets=(chance.choice(everyone),)),
        Step(blow=Blow.KILL, targets=(chance.choice(everyone),)),
        Step(blow=Blow.KILL, targets=(chance.choice(everyone),)),
    ]
    blows = kills if short else kills + others
    chance.shuffle(blows)
    return [_at_a_moment(step, chance=chance) for step in blows]


def _at_a_moment(step: Step, *, chance: random.Random) -> Step:
    early = chance.random() < 1 / 3
    return Step(
        blow=step.blow,
        targets=step.targets,
        for_ms=step.for_ms,
        after_sends=0 if early else chance.randint(1, _MOST_SENDS),
        after_ms=chance.randint(0, _MOST_MS) if early else chance.randint(0, 50),
    )
