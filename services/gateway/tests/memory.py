"""The gateway's ports in memory: a log with a dedupe window, and a chat service that folds it by the rules at once."""

import asyncio
from dataclasses import dataclass, field
from typing import TypeVar

from petit.contracts import rules
from petit.contracts.ids import ChatId, Offset, Seq, SignalId, UserId
from petit.contracts.problems import Code, Refused, Unavailable
from petit.contracts.resources import Chat, History, Member, Message, Person, SeenBy
from petit.contracts.rpc import (
    Ask,
    ChatAsk,
    Delivered,
    HistoryAsk,
    MembersAsk,
    MembersPage,
    MessageAsk,
    MineAsk,
    MinePage,
    Propose,
    Proposed,
    RoomsAsk,
    RoomsPage,
    SentAsk,
    SentBefore,
    ViewsPage,
)
from petit.contracts.rules import ChatState, Placed, VoidReason
from petit.contracts.signals import Msg, OpsRules, SessionRevoked, Signal, View, decode, digest, encode
from petit.contracts.subjects import chat_signal
from petit.gateway.ports import Found, PeoplePage
from petit.kit.auth import LogoutToken, Principal, Revocations
from petit.kit.log import Entry

T = TypeVar("T")


class MemoryClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.ms = 1_795_208_645_678

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def forward(self, *, seconds: float) -> None:
        self.ms += round(seconds * 1000)


@dataclass
class StoredAt:
    offset: int
    duplicate: bool


class MemoryLog:
    """See `Log`; also the feed, which is never behind unless told so."""

    def __init__(self, clock: MemoryClock, *, window_s: float = 120.0) -> None:
        self.entries: dict[int, Entry] = {}
        self.last = 0
        self.down = False
        self.answers_lost = 0
        """How many coming appends are stored without an answer, and tried again by the log's adapter."""
        self.skew_s = 0.0
        self.lag_s = 0.0
        self.epoch = 1
        self._clock = clock
        self._window_s = window_s
        self._ids: dict[str, tuple[int, int]] = {}
        self.chats: MemoryChats | None = None

    @property
    def position(self) -> int:
        return self.last

    async def wait_for(self, offset: int, *, within: float) -> bool:
        return self.last >= offset

    async def append(self, subject: str, payload: bytes, *, msg_id: str) -> StoredAt:
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("the log is not there")
        stored = self.store(subject, payload, msg_id=msg_id)
        if self.answers_lost:
            self.answers_lost -= 1
            return self.store(subject, payload, msg_id=msg_id)
        return stored

    def store(self, subject: str, payload: bytes, *, msg_id: str) -> StoredAt:
        before = self._ids.get(msg_id)
        if before is not None and self._clock.ms - before[1] < self._window_s * 1000:
            return StoredAt(before[0], duplicate=True)
        self.last += 1
        self._ids[msg_id] = (self.last, self._clock.ms)
        self.entries[self.last] = Entry(self.last, subject, payload, self._clock.ms * 1_000_000, None)
        if self.chats is not None:
            self.chats.fold(decode(payload), Offset(self.last))
        return StoredAt(self.last, duplicate=False)

    async def read(self, offset: int) -> Entry | None:
        return self.entries.get(offset)

    async def end(self) -> int:
        return self.last

    async def clock_skew(self) -> float:
        if self.down:
            raise Unavailable("the log is not there")
        return self.skew_s


@dataclass
class _Before:
    offset: Offset
    signal: Signal
    void: VoidReason | None


class MemoryChats:
    """See `Chats`: folds what the log takes, at once."""

    def __init__(self, log: MemoryLog) -> None:
        self.states: dict[ChatId, ChatState] = {}
        self.messages: dict[ChatId, list[Message]] = {}
        self.markers: dict[tuple[ChatId, UserId], Seq] = {}
        self.delivered_to: dict[tuple[ChatId, UserId], Seq] = {}
        self.down = False
        self.asked: list[Ask] = []
        self._before: dict[tuple[UserId, SignalId], _Before] = {}
        self._log = log
        log.chats = self

    def fold(self, signal: Signal, offset: Offset) -> None:
        if isinstance(signal, OpsRules | SessionRevoked) or signal.chat is None:
            return
        state = self.states.setdefault(signal.chat, ChatState(chat=signal.chat))
        verdict = rules.apply(state, signal, offset=offset)
        placed = isinstance(verdict, Placed)
        void = None if isinstance(verdict, Placed) else verdict.reason
        self._before.setdefault((signal.by, signal.id), _Before(offset, signal, void))
        if isinstance(signal, Msg) and isinstance(verdict, Placed) and verdict.seq is not None:
            self.messages.setdefault(signal.chat, []).append(_message(signal, offset, verdict.seq))
            self.markers[signal.chat, signal.by] = verdict.seq
        if isinstance(signal, View) and placed:
            key = (signal.chat, signal.by)
            self.markers[key] = max(signal.data.seq, self.markers.get(key, Seq(0)))

    async def propose(self, ask: Propose) -> Found[Proposed]:
        self._answer(ask)
        signal = ask.signal
        assert not isinstance(signal, OpsRules | SessionRevoked)
        assert signal.chat is not None
        before = self._before.get((signal.by, signal.id))
        if before is not None:
            if digest(before.signal) != digest(signal):
                raise Refused(Code.CONFLICT_STATE, "another content under the same id")
            at = before.signal.at
            return self._found(Proposed(offset=before.offset, void=before.void, repeated=True, at=at))
        reason = rules.judge(self.states.get(signal.chat, ChatState(chat=signal.chat)), signal)
        if reason is not None:
            return self._found(Proposed(offset=Offset(self._log.last), void=reason))
        stored = self._log.store(
            chat_signal(signal.chat, signal.type), encode(signal), msg_id=f"{signal.by}:{signal.id}"
        )
        return self._found(Proposed(offset=Offset(stored.offset)))

    async def chat(self, ask: ChatAsk) -> Found[Chat]:
        self._answer(ask)
        state = self.states.get(ask.chat)
        listed = state is not None and state.kind == "room" and bool(state.members)
        if state is None or state.kind is None or (ask.viewer not in state.members and not listed):
            raise Refused(Code.CHAT_NOT_FOUND, "no such chat")
        return self._found(self._face(state, ask.viewer))

    async def members(self, ask: MembersAsk) -> Found[MembersPage]:
        members = self._in(ask).members
        ranked = sorted((member.joined_offset, user) for user, member in members.items())
        rest = [place for place in ranked if ask.after is None or place > ask.after]
        items = tuple(
            Member(user=user, role=members[user].role, joined_at=members[user].joined_at)
            for _, user in rest[: ask.limit]
        )
        return self._found(MembersPage(items=items, next=rest[ask.limit - 1] if len(rest) > ask.limit else None))

    async def history(self, ask: HistoryAsk) -> Found[History]:
        state = self._in(ask)
        items = [
            one
            for one in self.messages.get(ask.chat, [])
            if (ask.before is None or one.seq < ask.before) and (ask.after is None or one.seq > ask.after)
        ]
        shown = items[: ask.limit] if ask.after is not None else items[-ask.limit :]
        return self._found(History(items=tuple(shown), head_seq=state.head_seq, first_seq=Seq(min(1, state.head_seq))))

    async def message(self, ask: MessageAsk) -> Found[Message]:
        self._in(ask)
        for one in self.messages.get(ask.chat, []):
            if one.id == ask.message:
                return self._found(one)
        raise Refused(Code.MESSAGE_NOT_FOUND, "no such message")

    async def views(self, ask: MessageAsk) -> Found[ViewsPage]:
        one = (await self.message(ask)).body
        users = sorted(user for user in self.states[ask.chat].members if ask.after is None or user > ask.after)
        items = tuple(
            SeenBy(
                user=user,
                seen=self.markers.get((ask.chat, user), 0) >= one.seq,
                delivered=self.delivered_to.get((ask.chat, user), 0) >= one.seq,
            )
            for user in users[: ask.limit]
        )
        return self._found(ViewsPage(items=items, next=users[ask.limit - 1] if len(users) > ask.limit else None))

    async def mine(self, ask: MineAsk) -> Found[MinePage]:
        self._answer(ask)
        ranked = sorted(
            ((state.offset, chat) for chat, state in self.states.items() if ask.viewer in state.members), reverse=True
        )
        rest = [place for place in ranked if ask.after is None or place < ask.after]
        items = tuple(self._face(self.states[chat], ask.viewer) for _, chat in rest[: ask.limit])
        following = rest[ask.limit - 1] if len(rest) > ask.limit else None
        ordered_at = ask.ordered_at or Offset(self._log.last)
        return self._found(MinePage(items=items, ordered_at=ordered_at, next=following))

    async def rooms(self, ask: RoomsAsk) -> Found[RoomsPage]:
        self._answer(ask)
        ranked = sorted(
            ((state.title or "").casefold(), chat) for chat, state in self.states.items() if state.kind == "room"
        )
        rest = [
            place
            for place in ranked
            if place[0].startswith(ask.prefix.casefold()) and (ask.after is None or place > ask.after)
        ]
        items = tuple(self._face(self.states[chat], ask.viewer) for _, chat in rest[: ask.limit])
        return self._found(RoomsPage(items=items, next=rest[ask.limit - 1] if len(rest) > ask.limit else None))

    async def sent(self, ask: SentAsk) -> Found[SentBefore]:
        self._answer(ask)
        before = self._before.get((ask.user, ask.id))
        if before is None:
            return self._found(SentBefore(found=False))
        signal = before.signal
        chat = getattr(signal, "chat", None) or ChatId("")
        return self._found(SentBefore(found=True, offset=before.offset, at=signal.at, chat=chat, digest=digest(signal)))

    async def delivered(self, ask: Delivered) -> None:
        self._answer(ask)
        for user, seq in ask.markers.items():
            self.delivered_to[ask.chat, user] = max(seq, self.delivered_to.get((ask.chat, user), seq))

    def _answer(self, ask: Ask) -> None:
        self.asked.append(ask)
        if self.down:
            raise Unavailable("chat does not answer")
        if ask.min_offset > self._log.last:
            raise Refused(Code.READ_BEHIND, f"not at {ask.min_offset} yet", retry_after=1)

    def _in(self, ask: ChatAsk) -> ChatState:
        self._answer(ask)
        state = self.states.get(ask.chat)
        if state is None or ask.viewer not in state.members:
            raise Refused(Code.CHAT_NOT_FOUND, "no such chat")
        return state

    def _found(self, body: T) -> Found[T]:
        return Found(body, Offset(self._log.last))

    def _face(self, state: ChatState, viewer: UserId) -> Chat:
        assert state.kind is not None
        member = state.members.get(viewer)
        messages = self.messages.get(state.chat, [])
        marker = self.markers.get((state.chat, viewer), Seq(0))
        return Chat(
            id=state.chat,
            kind=state.kind,
            title=state.title,
            about=state.about,
            history=state.history,
            created_at=state.created_at,
            members_count=len(state.members),
            role=member.role if member else None,
            joined_offset=member.joined_offset if member else None,
            head_seq=state.head_seq,
            marker=marker,
            unread=sum(one.seq > marker and one.by != viewer for one in messages),
            last=messages[-1] if messages and member else None,
        )


def _message(signal: Msg, offset: Offset, seq: Seq) -> Message:
    return Message(
        id=signal.id,
        seq=seq,
        offset=offset,
        chat=signal.chat,
        by=signal.by,
        at=signal.at,
        text=signal.data.text,
        reply_to=signal.data.reply_to,
        mentions=signal.data.mentions,
    )


class MemoryMirror:
    """See `Mirror`: holds the chats that were loaded, and can be made to forget, or to lag."""

    def __init__(self, chats: MemoryChats) -> None:
        self._chats = chats
        self._held: set[ChatId] = set()
        self.frozen: dict[ChatId, ChatState] = {}
        """What it says instead of the truth: a mirror that has not heard the news."""

    def get(self, chat: ChatId) -> ChatState | None:
        if chat in self.frozen:
            return self.frozen[chat]
        return self._chats.states.get(chat) if chat in self._held else None

    async def load(self, chat: ChatId) -> ChatState:
        if self._chats.down:
            raise Unavailable("chat does not answer")
        if chat in self._chats.states:
            self._held.add(chat)
        return self._chats.states.get(chat, ChatState(chat=chat))


@dataclass
class MemoryTokens:
    """See `Tokens`: the token of a person is their id."""

    clock: MemoryClock
    people: "MemoryDirectory"
    down: bool = False
    revocations: Revocations = field(init=False)

    def __post_init__(self) -> None:
        self.revocations = Revocations(clock=self.clock)

    async def verify_logout(self, token: bytes) -> LogoutToken:
        """Take `logout ada phone` for a token that says that, and `logout ada` for one about all of them."""
        if self.down:
            raise Unavailable("the issuer's keys cannot be had")
        if not token.startswith(b"logout "):
            raise Refused(Code.TOKEN_INVALID, "no logout token")
        _, user, *session = token.decode().split()
        return LogoutToken(
            user=UserId(user), session=session[0] if session else None, issued_at=self.clock.now_ms() / 1000
        )

    def cached(self, token: bytes) -> Principal | None:
        user = token.decode("latin-1")
        if user not in self.people.people:
            return None
        return Principal(
            user=UserId(user),
            username=user,
            name=user.title(),
            roles=frozenset({"USER"}),
            session=f"session-of-{user}",
            client="petit-web",
            issued_at=self.clock.ms / 1000,
            expires_at=self.clock.ms / 1000 + 600,
        )

    async def verify(self, token: bytes) -> Principal:
        if self.down:
            raise Unavailable("the issuer's keys cannot be had")
        code = Code.TOKEN_EXPIRED if token == b"expired" else Code.TOKEN_INVALID
        raise Refused(code, "the token will not do")


@dataclass
class MemoryTickets:
    """See `Tickets`."""

    issued: dict[str, bytes] = field(default_factory=dict)

    async def issue(self, value: bytes) -> str:
        word = f"ticket-{len(self.issued)}"
        self.issued[word] = value
        return word


class MemoryDirectory:
    """See `Directory`."""

    def __init__(self, *names: str) -> None:
        self.people = {UserId(name): Person(id=UserId(name), username=name, name=name.title()) for name in names}
        self.down = False

    async def find(self, prefix: str, *, after: str | None, limit: int) -> PeoplePage:
        self._check()
        found = sorted(
            (
                person
                for person in self.people.values()
                if person.username.startswith(prefix.casefold()) and (after is None or person.username > after)
            ),
            key=lambda person: person.username,
        )
        items = tuple(found[:limit])
        return PeoplePage(items, items[-1].username if len(found) > limit else None)

    async def get(self, user: UserId) -> Person | None:
        self._check()
        return self.people.get(user)

    def _check(self) -> None:
        if self.down:
            raise Unavailable("the directory does not answer")
