"""Whatever happens, and wherever a device goes on: every frame once, in order, and nothing that it may not see."""

import asyncio
import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from petit.contracts.cursor import Cursor
from petit.contracts.ids import ChatId, Offset, UserId
from petit.contracts.signals import Left, MsgVoid, decode
from petit.notifier.domain.frames import Format
from petit.notifier.domain.items import Item
from services.notifier.tests.world import EPOCH, FakeSeat, Stage, World, chat_id, read_frames, stage

CHATS = [chat_id(n) for n in (1, 2, 3)]
USERS = ["ada", "bob", "cat", "dan"]

ACTS = (
    *["say"] * 5,
    *["deliver"] * 3,
    *["join", "connect", "cut", "pause", "leave", "settle"] * 2,
    *["view", "remove", "void", "create", "down", "stale", "storm"],
)


@dataclass(frozen=True)
class Act:
    """Something that happens: a signal of a chat by somebody about somebody, or something else."""

    what: str
    chat: ChatId
    by: str
    user: str


@dataclass(frozen=True)
class Limits:
    """How little the hub may remember."""

    ring: int
    capacity: int
    known: int
    slow_s: float
    warm: bool
    """Whether everybody is there from the beginning."""


def walk(seed: int) -> tuple[list[Act], Limits]:
    """Return a long history: hypothesis' own lists are mostly short and dull, and long ones are what finds bugs."""
    chance = random.Random(seed)
    busy = chance.sample(ACTS, k=len(ACTS) // 2) + list(ACTS)  # each history has habits of its own
    history = [
        Act(what=chance.choice(busy), chat=chance.choice(CHATS), by=chance.choice(USERS), user=chance.choice(USERS))
        for _ in range(chance.randrange(20, 250))
    ]
    within = Limits(
        ring=chance.choice([0, 2_500, 20_000, 1_000_000]),
        capacity=chance.choice([0, 12, 1_000]),
        known=chance.choice([0, 10, 1_000]),
        slow_s=chance.choice([0.0, 0.0, 0.002]),
        warm=chance.random() < 0.7,
    )
    return history, within


@dataclass
class Device:
    """One device of a person: its connections, one after the other, each from where the last one got to."""

    user: str
    form: Format
    started: int | None = None
    seats: list[FakeSeat] = field(default_factory=list)
    online: bool = False

    def signals(self) -> list[int]:
        """Return the offsets of everything received."""
        return [offset for seat in self.seats for offset in seat.signals()]

    def seen(self) -> int | None:
        """Return the offset of the last cursor received; None if there was none."""
        offset = self.started
        for seat in self.seats:
            for frame in seat.frames():
                offset = offset_of(frame.id)
        return offset


def offset_of(cursor: str) -> int:
    return Cursor.parse(cursor).offset


async def play(history: list[Act], *, within: Limits) -> tuple[World, list[Device]]:
    world = World()
    world.slow_s = within.slow_s
    world.create(CHATS[0], "ada", "bob", "cat")
    world.create(CHATS[1], "ada", "bob")
    world.say(CHATS[0], "ada")
    devices = [Device(user, Format(n % 4)) for n, user in enumerate([*USERS, *USERS])]
    async with stage(world, ring=within.ring, capacity=within.capacity, known=within.known) as on:
        if within.warm:
            for device in devices:
                connect(on, device)
            await on.live(*(device.seats[-1] for device in devices))
        for act in history:
            if act.what == "storm":
                for device in devices:
                    cut(on, device)
            elif act.what == "settle" and world.current and not world.down:
                await on.live(*(device.seats[-1] for device in devices if device.online))
            elif not write(world, act):
                await do(on, act, device=devices[(USERS.index(act.by) + 4 * CHATS.index(act.chat)) % len(devices)])
        world.down, world.current = False, True
        on.deliver()
        for device in devices:
            if not device.online:
                connect(on, device)
        await on.live(*(device.seats[-1] for device in devices))
    return world, devices


def write(world: World, act: Act) -> bool:
    """Write a signal, if that is what the act is."""
    match act.what:
        case "say":
            world.say(act.chat, act.by, nonce="n" if act.by == act.user else None)
        case "view":
            world.view(act.chat, act.by)
        case "join":
            world.join(act.chat, act.user)
        case "leave":
            world.remove(act.chat, act.user)
        case "remove":
            world.remove(act.chat, act.user, by=act.by)
        case "void":
            world.void(act.chat, act.user)
        case "create":
            world.create(act.chat, act.by, act.user)
        case _:
            return False
    return True


async def do(on: Stage, act: Act, *, device: Device) -> None:
    match act.what:
        case "connect" if not device.online:
            connect(on, device)
        case "cut":
            cut(on, device)
        case "deliver":
            on.deliver()
        case "pause":
            await asyncio.sleep(0.004)
        case "down":
            on.world.down = not on.world.down
        case "stale":
            on.world.current = not on.world.current
        case _:
            await asyncio.sleep(0)


def cut(on: Stage, device: Device) -> None:
    if device.online:
        device.online = False
        on.hub.leave(device.seats[-1])


def connect(on: Stage, device: Device) -> None:
    device.online = True
    device.seats.append(on.connect(device.user, cursor=device.seen(), form=device.form))


@given(st.integers(min_value=0, max_value=2**32))
def test_every_device_gets_what_its_person_may_see_once_and_in_order(seed: int) -> None:
    history, within = walk(seed)

    world, devices = asyncio.run(play(history, within=within))

    for device in devices:
        check(world, device)


def check(world: World, device: Device) -> None:
    greeted = [seat for seat in device.seats if seat.written]
    assert all(seat.events()[0] == "hello" for seat in greeted)
    first = offset_of(greeted[0].frames()[0].id)
    got = device.signals()
    assert got == sorted(set(got)), f"{device.user}: out of order or twice: {got}"
    assert all(offset > first for offset in got)

    must: set[int] = set()
    may: set[int] = set()
    for stored in world.stored[first:]:
        if stored.placed is None or device.user not in stored.allowed:
            continue
        may.add(stored.entry.offset)
        named = isinstance(decode(stored.entry.payload), Left | MsgVoid) and device.user in stored.placed.also
        if named or stays(world, device.user, stored.chat, since=stored.entry.offset):
            must.add(stored.entry.offset)
    assert must <= set(got), f"{device.user}: missing {sorted(must - set(got))}"
    assert set(got) <= may, f"{device.user}: saw {sorted(set(got) - may)}"
    for seat in greeted:
        check_bytes(world, seat)


def stays(world: World, user: str, chat: ChatId, *, since: int) -> bool:
    """Say whether a person is a member of a chat from an offset on until now."""
    member = world.states[chat].members.get(UserId(user))
    return member is not None and member.joined_offset <= since


def check_bytes(world: World, seat: FakeSeat) -> None:
    """Every signal looks as it would to anybody, whether it came live or later."""
    for frame in seat.frames():
        if frame.event == "signal":
            stored = world.stored[frame.data["offset"] - 1]
            assert stored.placed is not None
            item = Item(
                decode(stored.entry.payload),
                payload=stored.entry.payload,
                epoch=EPOCH,
                offset=Offset(stored.entry.offset),
                placed=stored.placed,
            )
            (expected,) = read_frames(seat.form, item.frame(seat.form, own=item.by == seat.user))
            assert frame == expected
