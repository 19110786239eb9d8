"""Lets connections catch up.

Every connection begins *behind*, one that resumes as well as one that starts now, and falls behind again
when a signal that concerns it cannot be decided yet. It is written everything that it missed, in the order
of the log and no faster than it reads, and is live from the moment at which nothing is missing any more.
`hello` comes first, and never while the feed is not current.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import structlog

from petit.contracts.ids import ChatId, Offset
from petit.contracts.problems import Refused
from petit.contracts.resources import Gap, dump
from petit.kit.clock import Clock
from petit.notifier.domain.frames import Event, cursor_id, frame, json_line
from petit.notifier.domain.items import Item
from petit.notifier.domain.missed import Asked, GapIn, Lacks, missed
from petit.notifier.domain.people import BEHIND, Person, Seat
from petit.notifier.handlers.backlogs import Backlogs
from petit.notifier.handlers.router import Router

CHUNK_BYTES: Final = 65_536
"""What a connection is written of its backlog at once."""
PATIENCE_S: Final = 20.0
"""How long somebody waits for what is lacking before being sent to another replica."""
SLOWEST_S: Final = 30.0
"""How long a connection may take to read one chunk of its backlog."""
GOING_AWAY: Final = 1001
TOO_SLOW: Final = 4408
AT_ONCE: Final = 256
"""Chats that are asked for at once for one connection."""
_RETRY_S: Final = 0.05
_LONGEST_RETRY_S: Final = 1.0

_log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], object]
"""Starts a task that somebody supervises."""


@dataclass(slots=True, kw_only=True)
class _CatchUp:
    """How far one connection is with catching up."""

    greet: Callable[[Seat], bytes] | None
    """Makes the hello that is still to be written."""
    now: bool
    """The stream starts now, wherever that will be."""
    was_live: bool
    """It was live when it fell behind: what it missed is judged by the memberships of then, not of now."""
    since: float
    """Monotonic seconds: when it last got on."""
    asked: Asked = field(default_factory=Asked)
    gaps: list[GapIn] = field(default_factory=list)
    items: deque[Item] = field(default_factory=deque)
    upto: Offset = Offset(0)
    """Where it is when `items` are written."""
    asking: bool = False
    crowded: bool = False
    failures: int = 0


class Resume:
    """The connections that are behind.

    Args:
        spawn: Starts a task that somebody supervises.
        wake: Asks for a turn (`turn`) soon.
    """

    def __init__(
        self, router: Router, *, backlogs: Backlogs, clock: Clock, spawn: Spawn, wake: Callable[[], None]
    ) -> None:
        self._router = router
        self._backlogs = backlogs
        self._clock = clock
        self._spawn = spawn
        self._wake = wake
        self._behind: dict[Seat, _CatchUp] = {}
        self._ready: deque[Seat] = deque()
        self._waiting: list[Seat] = []

    @property
    def idle(self) -> bool:
        """Whether nobody can get on by another turn."""
        return not self._ready

    @property
    def blocked(self) -> bool:
        """Whether somebody waits for the feed."""
        return bool(self._waiting)

    def greeted(self, seat: Seat) -> bool:
        """Say whether a connection was told hello."""
        catch_up = self._behind.get(seat)
        return catch_up is None or catch_up.greet is None

    def begin(self, seat: Seat, *, greet: Callable[[Seat], bytes], cursor: Offset | None) -> None:
        """Take in a new connection.

        Args:
            greet: Makes its hello, when it is time.
            cursor: What it has seen; None: it starts now.
        """
        seat.mark, seat.cursor = BEHIND, cursor or Offset(0)
        self._put(seat, _CatchUp(greet=greet, now=cursor is None, was_live=False, since=self._clock.monotonic()))

    def fall_behind(self, seat: Seat) -> None:
        """Take in a connection that was live; its mark and cursor are set."""
        self._put(seat, _CatchUp(greet=None, now=False, was_live=True, since=self._clock.monotonic()))

    def drained(self, seat: Seat) -> None:
        """Go on with a connection that has read what was written."""
        catch_up = self._behind.get(seat)
        if catch_up is not None and catch_up.crowded:
            catch_up.crowded = False
            catch_up.since = self._clock.monotonic()
            self._again(seat)

    def drop(self, seat: Seat) -> None:
        """Forget a connection."""
        self._behind.pop(seat, None)

    def turn(self, *, most: int) -> None:
        """Move up to so many connections on; everything routed was flushed."""
        if self._waiting and self._router.log.current:
            self._ready.extend(self._waiting)
            self._waiting = []
        for _ in range(min(most, len(self._ready))):
            seat = self._ready.popleft()
            catch_up = self._behind.get(seat)
            if catch_up is not None and not catch_up.asking and not catch_up.crowded:
                self._move(seat, catch_up)

    def expire(self) -> None:
        """End those that wait too long: for what is lacking, or for their own reader."""
        now = self._clock.monotonic()
        for seat, catch_up in list(self._behind.items()):
            if catch_up.crowded and now - catch_up.since > SLOWEST_S:
                seat.end(TOO_SLOW, resume=True)
            elif not catch_up.crowded and now - catch_up.since > PATIENCE_S:
                seat.end(GOING_AWAY, resume=True)

    def _put(self, seat: Seat, catch_up: _CatchUp) -> None:
        self._behind[seat] = catch_up
        self._again(seat)

    def _again(self, seat: Seat) -> None:
        self._ready.append(seat)
        self._wake()

    def _move(self, seat: Seat, catch_up: _CatchUp) -> None:
        router = self._router
        if not router.log.current or seat.cursor > router.seen:
            self._waiting.append(seat)
            return
        person = router.people.get(seat.user)
        if person is None:
            self._ask(seat, catch_up, lacks=None)
            return
        if seat.person is None:
            router.sit(seat, person=person)
        if catch_up.now:
            catch_up.now, seat.cursor = False, router.seen
        if person.unsure:
            catch_up.items.clear()  # what it may see is to be decided first
        if not catch_up.items and not self._look(seat, catch_up, person=person):
            return
        self._write(seat, catch_up, person=person)

    def _look(self, seat: Seat, catch_up: _CatchUp, *, person: Person) -> bool:
        """Find out what was missed; True if there is something to write."""
        router = self._router
        for chat in person.unsure:
            state = router.mirror.get(chat)
            if state is not None:
                router.settle(chat, state)
        told = missed(
            person,
            cursor=seat.cursor,
            ring=router.ring,
            asked=catch_up.asked,
            held=self._held,
            was_live=catch_up.was_live,
        )
        if isinstance(told, Lacks):
            self._ask(seat, catch_up, lacks=told)
            return False
        self._greet(seat, catch_up)
        for gap in told.gaps:
            seat.write(self._gap(seat, gap))
        if not told.items:
            self._go_live(seat)
            return False
        catch_up.items, catch_up.upto = deque(told.items), router.seen
        return True

    def _write(self, seat: Seat, catch_up: _CatchUp, *, person: Person) -> None:
        frames: list[bytes] = []
        size = 0
        while catch_up.items and size < CHUNK_BYTES:
            item = catch_up.items.popleft()
            seat.cursor = item.offset
            if self._may_see(item, person=person, was_live=catch_up.was_live):
                frames.append(item.frame(seat.form, own=item.by == person.user))
                size += len(frames[-1])
        if not catch_up.items:
            seat.cursor = catch_up.upto
        seat.write(b"".join(frames))
        catch_up.since = self._clock.monotonic()
        if self._behind.get(seat) is not catch_up:
            return
        if seat.crowded:
            catch_up.crowded = True
        elif not catch_up.items and catch_up.upto == self._router.seen:
            self._go_live(seat)
        else:
            self._again(seat)

    @staticmethod
    def _may_see(item: Item, *, person: Person, was_live: bool) -> bool:
        since = None if item.chat is None else person.chats.get(item.chat)
        if item.visible(person.user, since=since):
            return True
        return was_live and item.chat is not None and item.to_members and person.was_in(item.chat, item.offset)

    def _go_live(self, seat: Seat) -> None:
        del self._behind[seat]
        seat.mark = self._router.tick.number

    def _greet(self, seat: Seat, catch_up: _CatchUp) -> None:
        if catch_up.greet is not None:
            seat.write(catch_up.greet(seat))
            catch_up.greet = None
            seat.opened()

    def _gap(self, seat: Seat, gap: GapIn) -> bytes:
        href = f"/v1/chats/{gap.chat}/messages?after={gap.after_seq}"
        data = Gap(chat=gap.chat, after_offset=gap.after, to_offset=gap.to, href=href)
        id_ = cursor_id(self._router.epoch, seat.cursor)
        return frame(seat.form, event=Event.GAP, id=id_, data=json_line(dump(data)))

    def _held(self, chat: ChatId) -> bool:
        return self._router.mirror.get(chat) is not None

    def _ask(self, seat: Seat, catch_up: _CatchUp, *, lacks: Lacks | None) -> None:
        catch_up.asking = True
        self._spawn(self._fetch(seat, catch_up, lacks=lacks))

    async def _fetch(self, seat: Seat, catch_up: _CatchUp, *, lacks: Lacks | None) -> None:
        try:
            if lacks is None:
                await self._backlogs.know(seat.user)
            else:
                await self._fetch_lacks(seat, catch_up.asked, lacks=lacks)
        except Refused as error:
            catch_up.failures += 1
            if catch_up.failures == 1:
                _log.warning("resume.waits", user=seat.user, reason=str(error))
            await asyncio.sleep(min(_LONGEST_RETRY_S, _RETRY_S * 2**catch_up.failures))
        else:
            catch_up.since = self._clock.monotonic()
            catch_up.failures = 0
        catch_up.asking = False
        if self._behind.get(seat) is catch_up:
            self._again(seat)

    async def _fetch_lacks(self, seat: Seat, asked: Asked, *, lacks: Lacks) -> None:
        if lacks.changed:
            person = self._router.people.get(seat.user)
            chats = frozenset(person.chats) if person is not None else frozenset[ChatId]()
            asked.changed[:] = [await self._backlogs.changed(chats, after=seat.cursor)]
            return
        work: list[Coroutine[Any, Any, None]] = [self._hold(chat) for chat in islice(lacks.states, AT_ONCE)]
        work += [self._fetch_chat(chat, asked, after=after) for chat, after in islice(lacks.chats.items(), AT_ONCE)]
        if lacks.named:
            work.append(self._fetch_named(seat, asked))
        await asyncio.gather(*work)

    async def _hold(self, chat: ChatId) -> None:
        self._router.settle(chat, await self._router.mirror.load(chat))

    async def _fetch_chat(self, chat: ChatId, asked: Asked, *, after: Offset) -> None:
        asked.chats[chat] = await self._backlogs.chat(chat, after=after)

    async def _fetch_named(self, seat: Seat, asked: Asked) -> None:
        asked.named[:] = [await self._backlogs.person(seat.user, after=seat.cursor)]
