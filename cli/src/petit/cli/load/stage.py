"""Sets the scene through the public API: people logged in, rooms made, everybody in theirs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from petit.cli.load.api import Api
from petit.cli.load.lanes import Author
from petit.cli.load.meter import Process
from petit.cli.load.orders import Seat
from petit.cli.load.people import Person, people
from petit.cli.load.plan import Plan
from petit.cli.load.scene import Scene, full_reading

_GROUP_MAX: Final = 1_000
"""People in a group; more need a room, which they join."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """One room and its people."""

    index: int
    chat: str
    people: tuple[Person, ...]


async def gather(api: Api, *, issuer: Api, plan: Plan, run: str, note: Callable[[str], None]) -> list[Company]:
    """Make the rooms of a plan and the people in them.

    Args:
        api: the server.
        issuer: where people are made and log in.
        plan: how many rooms and members.
        run: tells this run's rooms from others.
        note: told how far it is.

    Raises:
        NoPeople: somebody cannot be made.
        ApiRefused: the server refuses.
    """
    total = plan.rooms * plan.members
    crowd = await people(
        issuer,
        names=[f"load-{place}" for place in range(total)],
        secret=plan.secret,
        made=lambda count: note(f"{count:,} of {total:,} people logged in"),
    )
    gate = asyncio.Semaphore(8)

    async def one(index: int) -> Company:
        members = crowd[index * plan.members : (index + 1) * plan.members]
        async with gate:
            chat = await _room(api, f"load {run} {index}", members=members)
        note(f"room {index + 1} of {plan.rooms} made")
        return Company(index=index, chat=chat, people=tuple(members))

    return list(await asyncio.gather(*map(one, range(plan.rooms))))


async def _room(api: Api, title: str, *, members: list[Person]) -> str:
    owner, *others = members
    if len(members) <= _GROUP_MAX:
        body = {"kind": "group", "title": title, "members": [person.user for person in others]}
        return str((await api.ask("POST", "/v1/chats", token=owner.token, body=body)).json()["id"])
    reply = await api.ask("POST", "/v1/chats", token=owner.token, body={"kind": "room", "title": title})
    chat = str(reply.json()["id"])
    gate = asyncio.Semaphore(16)

    async def join(person: Person) -> None:
        async with gate:
            await api.ask("POST", f"/v1/chats/{chat}/join", token=person.token)

    await asyncio.gather(*map(join, others))
    return chat


def scene(companies: list[Company], *, plan: Plan, processes: tuple[Process, ...]) -> Scene:
    """Say who sends and who listens."""
    senders = min(plan.senders, plan.members)
    return Scene(
        name="petit",
        address=plan.address,
        chats=tuple(company.chat for company in companies),
        authors=tuple(
            Author(room=company.index, chat=company.chat, token=company.people[-1 - place].token)
            for place in range(senders)
            for company in companies
        ),
        seats=tuple(
            Seat(
                room=company.index,
                chat=company.chat,
                name=f"{person.name} in room {company.index}",
                token=person.token,
                full=full_reading(place),
            )
            for company in companies
            for place, person in enumerate(company.people)
        ),
        processes=processes,
    )
