"""What is done to the real stack under load, and when: decided by a seed alone, so that it can be done again."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from tests.e2e.waiting import eventually

LEADER: Final = "the log's leader"
"""Stands for whichever server leads the log when the blow falls."""
_LOAD_S: Final = 150.0
"""How long the load may take to get so far again after a blow."""
_MOST_SENDS: Final = 100


class Harm(StrEnum):
    """One kind of harm."""

    KILL = "kill -9"
    """It ends at once, and is started again after a while."""
    PAUSE = "pause"
    """It stands still, and goes on believing whatever it believed."""
    CUT = "network cut"
    """It runs, and reaches nobody."""


class Patient(Protocol):
    """What can be harmed. Each method waits until it is done."""

    def log_leader(self) -> str:
        """Return which server leads the log."""
        ...

    def down(self, *names: str) -> None:
        """`kill -9`."""
        ...

    def up(self, *names: str) -> None:
        """Start again."""
        ...

    def pause(self, *names: str) -> None:
        """Make everything in it stand still."""
        ...

    def unpause(self, *names: str) -> None:
        """Let it go on."""
        ...

    def cut(self, *names: str) -> None:
        """Take it off the network."""
        ...

    def heal(self, *names: str) -> None:
        """Put it back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """One harm, its victim and its moment."""

    harm: Harm
    victim: str
    for_s: float
    after_sends: int
    """Sends acknowledged since the blow before was over."""

    def __str__(self) -> str:
        """Say it in a line."""
        return f"after {self.after_sends} sends: {self.harm} of {self.victim} for {self.for_s:.1f} s"


def matrix(
    seed: int, *, edges: Sequence[str], folds: Sequence[str], logs: Sequence[str], store: str, issuer: str, short: bool
) -> list[Blow]:
    """Return what this seed does.

    In full: one blow to each part, an owner's pause of 20 s, the store cut off for 60 s, and two more. Short: one
    blow to each part, all of them of some seconds.

    Args:
        edges: Names of gateways and notifiers.
        folds: Names of the chats' folds.
        logs: Names of the log's servers.
        store: Name of the database.
        issuer: Name of the issuer.
        short: For a run that has little time.
    """
    chance = random.Random(seed)

    def blow(harm: Harm, victim: str, longest_s: float) -> Blow:
        for_s = min(longest_s, 5.0) if short else longest_s
        return Blow(harm=harm, victim=victim, for_s=for_s, after_sends=chance.randint(1, _MOST_SENDS))

    def some(*harms: Harm) -> Harm:
        return chance.choice(harms)

    blows = [
        blow(some(*Harm), chance.choice(edges), chance.uniform(2, 8)),
        blow(Harm.PAUSE, chance.choice(folds), 20.0),
        blow(some(Harm.KILL, Harm.CUT), chance.choice(folds), chance.uniform(2, 8)),
        blow(some(*Harm), chance.choice(logs), chance.uniform(3, 10)),
        blow(some(*Harm), LEADER, chance.uniform(3, 10)),
        blow(some(*Harm), issuer, chance.uniform(3, 10)),
        blow(Harm.CUT, store, 60.0),
    ]
    if not short:
        blows += [
            blow(some(Harm.KILL, Harm.PAUSE), store, chance.uniform(3, 10)),
            blow(some(*Harm), chance.choice([*edges, *folds, *logs]), 20.0),
        ]
    chance.shuffle(blows)
    return blows


async def strike(
    patient: Patient, *, blows: Sequence[Blow], acknowledged: Callable[[], int], tell: Callable[[str], None]
) -> None:
    """Do one blow after the other, each at its moment, and undo it.

    Args:
        acknowledged: How many sends were acknowledged so far.
        tell: Takes a line before each blow.

    Raises:
        AssertionError: sends are not acknowledged any more.
    """
    for blow in blows:
        goal = acknowledged() + blow.after_sends

        async def reached(goal: int = goal) -> bool:
            return acknowledged() >= goal

        await eventually(reached, within_s=_LOAD_S, what=f"the load goes on before: {blow}")
        victim = await asyncio.to_thread(patient.log_leader) if blow.victim == LEADER else blow.victim
        tell(f"{blow} ({victim})" if victim != blow.victim else str(blow))
        harm, undo = {
            Harm.KILL: (patient.down, patient.up),
            Harm.PAUSE: (patient.pause, patient.unpause),
            Harm.CUT: (patient.cut, patient.heal),
        }[blow.harm]
        await asyncio.to_thread(harm, victim)
        try:
            await asyncio.sleep(blow.for_s)  # how long is part of the script
        finally:
            await asyncio.to_thread(undo, victim)
