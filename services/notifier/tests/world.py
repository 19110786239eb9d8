"""A chat service that is right by definition, a log to write on, and connections that only remember."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from petit.contracts import rules
from petit.contracts.ids import ChatId, Epoch, Offset, Seq, SignalId, Timestamp, UserId
from petit.contracts.problems import Unavailable
from petit.contracts.rpc import Backlog, Placement, Seed, SeedMember
from petit.contracts.rules import ChatState, Placed
from petit.contracts.signals import (
    ChatCreated,
    ChatCreatedData,
    ChatSignal,
    Joined,
    JoinedData,
    Left,
    LeftData,
    Msg,
    MsgData,
    MsgVoid,
    MsgVoidData,
    View,
    ViewData,
    encode,
)
from petit.contracts.subjects import chat_signal
from petit.kit.clock import SystemClock
from petit.kit.log import Entry
from petit.kit.mirror import Mirror
from petit.notifier.domain.frames import Format
from petit.notifier.domain.people import BEHIND, People, Person
from petit.notifier.domain.ring import Ring
from petit.notifier.handlers.backlogs import Backlogs
from petit.notifier.handlers.hub import Hub
from petit.notifier.handlers.router import Router

AT = Timestamp("2026-11-20T21:04:05.678Z")
EPOCH = Epoch(1)
T = TypeVar("T")
_ids = itertools.count(1)


def chat_id(number: int) -> ChatId:
    return ChatId(f"00000000-0000-7000-8000-{number:012d}")


def new_id() -> SignalId:
    return SignalId(f"00000000-0000-7000-9000-{next(_ids):012d}")


@dataclass
class Stored:
    """One entry and what the fold made of it."""

    entry: Entry
    chat: ChatId
    placed: Placed | None
    allowed: frozenset[UserId]
    """Who may see it: members after it where it is for members, and whom it names."""


class World:
    """The log, and the chat service that folds it; both are as far as `written`."""

    def __init__(self) -> None:
        self.stored: list[Stored] = []
        self.states: dict[ChatId, ChatState] = {}
        self.asked: list[tuple[str, object]] = []
        self.down = False
        self.slow_s = 0.0
        """How long an answer takes, seconds."""
        self.position = 0
        """How far the feed has delivered."""
        self.epoch: int = EPOCH
        self.current = True

    async def wait_for(self, offset: int, *, within: float) -> bool:
        return self.position >= offset

    @property
    def written(self) -> Offset:
        return Offset(len(self.stored))

    def append(self, signal: ChatSignal) -> Offset:
        offset = Offset(len(self.stored) + 1)
        state = self.states.setdefault(signal.chat, ChatState(chat=signal.chat))
        verdict = rules.apply(state, signal, offset=offset)
        placed = verdict if isinstance(verdict, Placed) else None
        allowed = set(placed.also) if placed else set()
        if placed and placed.to_members:
            allowed |= state.members.keys()
        entry = Entry(offset, chat_signal(signal.chat, signal.type), encode(signal), 0, None)
        self.stored.append(Stored(entry, signal.chat, placed, frozenset(allowed)))
        return offset

    def create(self, chat: ChatId, *members: str) -> Offset:
        data = ChatCreatedData(kind="room", title="t", members=tuple(UserId(member) for member in members))
        return self.append(ChatCreated(id=new_id(), by=UserId(members[0]), at=AT, chat=chat, data=data))

    def say(self, chat: ChatId, by: str, *, text: str = "hi", nonce: str | None = None) -> Offset:
        return self.append(Msg(id=new_id(), by=UserId(by), at=AT, chat=chat, nonce=nonce, data=MsgData(text=text)))

    def join(self, chat: ChatId, user: str) -> Offset:
        data = JoinedData(user=UserId(user), how="join")
        return self.append(Joined(id=new_id(), by=UserId(user), at=AT, chat=chat, data=data))

    def remove(self, chat: ChatId, user: str, *, by: str | None = None) -> Offset:
        data = LeftData(user=UserId(user), how="leave" if by is None else "removed")
        return self.append(Left(id=new_id(), by=UserId(by or user), at=AT, chat=chat, data=data))

    def view(self, chat: ChatId, by: str, *, seq: int = 1) -> Offset:
        return self.append(View(id=new_id(), by=UserId(by), at=AT, chat=chat, data=ViewData(seq=Seq(seq))))

    def void(self, chat: ChatId, by: str) -> Offset:
        data = MsgVoidData(message=new_id(), offset=Offset(1), reason="not_member")
        return self.append(MsgVoid(id=new_id(), by=UserId(by), at=AT, chat=chat, data=data))

    async def seed(self, chat: ChatId, *, min_offset: Offset) -> Seed:
        return await self._answer("seed", chat, self._seed(chat))

    def _seed(self, chat: ChatId) -> Seed:
        state = self.states.get(chat, ChatState(chat=chat))
        members = tuple(
            SeedMember(user=u, role=m.role, joined_offset=m.joined_offset, joined_at=m.joined_at)
            for u, m in state.members.items()
        )
        return Seed(
            chat=chat, offset=state.offset, kind=state.kind, head_seq=state.head_seq, members=members, title=state.title
        )

    async def memberships(
        self, users: Sequence[UserId], *, min_offset: Offset
    ) -> Mapping[UserId, Mapping[ChatId, Offset]]:
        told = {
            user: {c: s.members[user].joined_offset for c, s in self.states.items() if user in s.members}
            for user in users
        }
        return await self._answer("memberships", tuple(users), told)

    async def changed(
        self, chats: Sequence[ChatId], *, after: Offset, min_offset: Offset
    ) -> tuple[frozenset[ChatId], Offset]:
        told = frozenset(c for c in chats if self.states[c].offset > after), self.written
        return await self._answer("changed", tuple(chats), told)

    async def backlog(self, chat: ChatId, *, after: Offset, to: Offset) -> Backlog:
        told = self._backlog(after, to, lambda stored: stored.chat == chat)
        return await self._answer("backlog", chat, told)

    async def person_backlog(self, user: UserId, *, after: Offset, to: Offset) -> Backlog:
        told = self._backlog(after, to, lambda stored: stored.placed is not None and user in stored.placed.also)
        return await self._answer("person_backlog", user, told)

    def _backlog(self, after: Offset, to: Offset, wanted: Callable[[Stored], bool]) -> Backlog:
        items = tuple(
            Placement(
                offset=Offset(stored.entry.offset),
                payload=stored.entry.payload.decode(),
                seq=stored.placed.seq,
                to_members=stored.placed.to_members,
                also=stored.placed.also,
                successor=stored.placed.successor,
            )
            for stored in self.stored[after:to]
            if stored.placed is not None and wanted(stored)
        )
        return Backlog(items=items[-1001:], complete=len(items) <= 1001)

    async def _answer(self, method: str, what: object, told: T) -> T:
        """Answer as of the request, a little later."""
        self.asked.append((method, what))
        await asyncio.sleep(self.slow_s)
        if self.down:
            raise Unavailable("chat is down")
        return told


@dataclass(frozen=True)
class Frame:
    """A frame that was read back."""

    id: str
    event: str
    data: dict[str, Any]


class FakeSeat:
    """A connection that remembers what it was written. See `domain.people.Seat`."""

    def __init__(self, user: str, *, form: Format = Format.WS_FULL, connection: str = "") -> None:
        self.person: Person | None = None
        self.mark = BEHIND
        self.part = 0
        self.cursor = Offset(0)
        self.ends = 0.0
        self.looks = 0
        self.warned = False
        self.session = "s"
        self.crowded = False
        self.connection = connection or f"c-{next(_ids)}"
        self.user = UserId(user)
        self.form = form
        self.written = b""
        self.writes = 0
        self.ended: tuple[int, bool] | None = None

    def opened(self) -> None:
        assert self.frames()[-1].event == "hello"

    def write(self, data: bytes, /) -> None:
        if self.ended is None:
            self.written += data
            self.writes += 1

    def end(self, code: int, *, resume: bool) -> None:
        self.ended = self.ended or (code, resume)
        self.mark = BEHIND

    def frames(self) -> list[Frame]:
        return read_frames(self.form, self.written)

    def signals(self) -> list[int]:
        return [frame.data["offset"] for frame in self.frames() if frame.event == "signal"]

    def events(self) -> list[str]:
        return [frame.event for frame in self.frames()]


def read_frames(form: Format, data: bytes) -> list[Frame]:
    """Read frames as a client would, and no bytes may be left."""
    return list(_read_ws(data) if form.websocket else _read_sse(data))


def _read_ws(data: bytes) -> Iterator[Frame]:
    at = 0
    while at < len(data):
        first, size = data[at], data[at + 1]
        at += 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(data[at : at + width], "big")
            at += width
        payload, at = data[at : at + size], at + size
        if first == 0x81:
            said = json.loads(payload)
            yield Frame(said["id"], said["event"], said["data"])
        else:
            assert first == 0x88
            yield Frame("", "close", {"code": int.from_bytes(payload, "big")})


def _read_sse(data: bytes) -> Iterator[Frame]:
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        text, data = rest[:length].decode(), rest[length + 2 :]
        if not length:
            assert data == b""
            yield Frame("", "close", {})
            return
        fields = dict(line.split(": ", 1) for line in text.rstrip("\n").split("\n"))
        assert text.endswith("\n\n")
        yield Frame(fields["id"], fields["event"], json.loads(fields["data"]))


@dataclass
class Stage:
    """A hub on a world."""

    world: World
    hub: Hub
    router: Router
    mirror: Mirror
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def deliver(self, upto: int | None = None) -> None:
        """Let the feed deliver, up to an offset or everything."""
        end = self.world.written if upto is None else upto
        while self.world.position < end:
            entry = self.world.stored[self.world.position].entry
            self.hub.on_entry(entry)
            self.world.position = entry.offset

    def connect(
        self, user: str, *, cursor: int | None = None, form: Format = Format.WS_FULL, lasts_s: float = 600.0
    ) -> FakeSeat:
        seat = FakeSeat(user, form=form, connection=self.hub.name())
        expires_at = SystemClock().now_ms() / 1000 + lasts_s
        self.hub.arrive(seat, cursor=None if cursor is None else Offset(cursor), expires_at=expires_at)
        return seat

    async def live(self, *seats: FakeSeat) -> None:
        """Wait until these have been written everything that there is."""
        await eventually(
            lambda: not self.router.tick and not any(seat.mark == BEHIND and seat.ended is None for seat in seats)
        )


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until something holds, ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


@asynccontextmanager
async def stage(
    world: World, *, ring: int = 1_000_000, capacity: int = 10_000, known: int = 10_000
) -> AsyncIterator[Stage]:
    """Open a hub on a world, with whatever was written before as the past."""
    world.position = world.written
    mirror = Mirror(world, position=lambda: world.position, capacity=capacity)
    router = Router(mirror, people=People(capacity=known), ring=Ring(limit=ring), log=world)
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    backlogs = Backlogs(world, router=router)
    hub = Hub(router, backlogs=backlogs, clock=SystemClock(), instance="0000000a", spawn=spawn)
    router.begin()
    made = Stage(world, hub, router, mirror, tasks)
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await backlogs.close()
        await mirror.close()
    for result in results:
        if isinstance(result, Exception):
            raise result
