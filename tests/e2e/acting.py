"""People who do things at random, as the rules allow or forbid it."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from petit.client import Conflict, Forbidden, Invalid, NotFound
from petit.contracts.signals import Role
from tests.e2e.people import Person

REFUSALS: Final = (Conflict, Forbidden, Invalid, NotFound)
_ROLES: Final[tuple[Role, ...]] = ("owner", "moderator", "member")
_WEIGHTS: Final = {
    "send": 40,
    "view": 12,
    "create": 6,
    "join": 8,
    "leave": 6,
    "invite": 10,
    "remove": 6,
    "role": 6,
    "rename": 6,
}
AT_ONCE: Final = 4


class Crowd:
    """People, and the chats that they made so far."""

    def __init__(self, people: Sequence[Person], *, chance: random.Random) -> None:
        self.people = people
        self.chats: list[str] = []
        self._chance = chance

    async def act(self, steps: int) -> None:
        """Do so many things, some of them at once; what is refused is refused."""
        for _ in range(2):
            await self._create(self._somebody())
        for _ in range(0, steps, AT_ONCE):
            await asyncio.gather(*(self._step() for _ in range(AT_ONCE)))

    async def _step(self) -> None:
        (what,) = self._chance.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))
        with suppress(*REFUSALS):
            await self._do(what, self._somebody(), chat=self._chance.choice(self.chats))

    async def _do(self, what: str, who: Person, *, chat: str) -> None:
        other = self._somebody()
        match what:
            case "send":
                nonce = self._chance.choice([None, str(self._chance.random())])
                await who.client.send(chat, f"{self._chance.random()}", nonce=nonce, mentions=[other.id])
            case "view":
                head = (await who.client.chat(chat)).head_seq
                await who.client.view(chat, self._chance.randint(0, head))
            case "create":
                await self._create(who)
            case "join":
                await who.client.join(chat)
            case "leave":
                await who.client.leave(chat)
            case "invite":
                await who.client.invite(chat, other.id)
            case "remove":
                await who.client.remove(chat, other.id)
            case "role":
                await who.client.set_role(chat, other.id, role=self._chance.choice(_ROLES))
            case _:
                await who.client.update(chat, title=f"t{self._chance.random()}", about=self._chance.choice([None, "x"]))

    async def _create(self, who: Person) -> None:
        others = [each.id for each in self.people if each.id != who.id]
        kind = self._chance.choice(["dm", "group", "room"])
        if kind == "dm":
            made = await who.client.create_chat("dm", members=[self._chance.choice(others)])
        else:
            some = self._chance.sample(others, self._chance.randint(0, len(others)))
            made = await who.client.create_chat("room" if kind == "room" else "group", title="t", members=some)
        self.chats.append(made.id)

    def _somebody(self) -> Person:
        return self._chance.choice(self.people)
