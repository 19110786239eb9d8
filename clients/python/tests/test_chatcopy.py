"""A copy that signals moved on equals a fresh read, however reads and stream overlap."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from petit.client import chatcopy
from petit.client.chatcopy import ChatCopy, apply
from petit.client.gaps import as_message
from petit.contracts import rules
from petit.contracts.ids import ChatId, Offset, Seq, SignalId, UserId, timestamp
from petit.contracts.resources import Chat, Member, Message, SignalFrame
from petit.contracts.signals import decode

ME = UserId("me")
PEOPLE = [ME, UserId("bob"), UserId("cat"), UserId("dan")]
CHAT = ChatId("0198c2f0-0000-7000-8000-000000000001")


@dataclass
class Server:
    """What the fold makes of a history, as far as a read shows it to ME."""

    state: rules.ChatState = field(default_factory=lambda: rules.ChatState(chat=CHAT))
    messages: list[Message] = field(default_factory=list)
    marker: Seq = Seq(0)
    frames: list[SignalFrame] = field(default_factory=list)

    def store(self, signal_type: str, by: str, data: dict[str, Any]) -> None:
        offset = Offset(self.state.offset + 2)
        fields = {"id": f"0198c2f0-0000-7000-8000-{offset:012x}", "at": timestamp(offset * 1000)}
        stored = {"v": 1, **fields, "type": signal_type, "chat": CHAT, "by": by, "data": data}
        signal = decode(json.dumps(stored))
        verdict = rules.apply(self.state, signal, offset=offset)
        if isinstance(verdict, rules.Void):
            return
        shown = data if verdict.successor is None else {**data, "owner": verdict.successor}
        frame = SignalFrame(
            offset=offset,
            seq=verdict.seq,
            id=SignalId(fields["id"]),
            type=signal_type,
            chat=CHAT,
            by=UserId(by),
            at=timestamp(offset * 1000),
            data=shown,
        )
        self.frames.append(frame)
        if verdict.seq is not None:
            self.messages.append(as_message(frame))
            if by == ME:
                self.marker = verdict.seq
        if signal_type == "view" and by == ME:
            self.marker = max(self.marker, Seq(min(data["seq"], self.state.head_seq)))

    def read(self) -> ChatCopy:
        state, offset = self.state, self.state.offset
        unread = sum(message.by != ME and message.seq > self.marker for message in self.messages)
        chat = Chat(
            id=CHAT,
            kind="group",
            title=state.title,
            about=state.about,
            history="all",
            created_at=state.created_at,
            members_count=len(state.members),
            role=state.members[ME].role,
            joined_offset=state.members[ME].joined_offset,
            head_seq=state.head_seq,
            marker=self.marker,
            unread=min(chatcopy.UNREAD_CAP, unread),
            last=self.messages[-1] if self.messages else None,
        )
        order = sorted(state.members, key=lambda user: (state.members[user].joined_offset, user))
        return ChatCopy(
            chat=chat,
            chat_as_of=offset,
            members={
                user: Member(user=user, role=state.members[user].role, joined_at=state.members[user].joined_at)
                for user in order
            },
            members_as_of=offset,
            messages=self.messages[-chatcopy.WINDOW :],
            messages_as_of=offset,
            reaches_start=len(self.messages) <= chatcopy.WINDOW,
        )


person = st.sampled_from(PEOPLE)
happening = st.one_of(
    st.tuples(st.just("msg"), person, st.builds(lambda text: {"text": text}, st.text(min_size=1, max_size=3))),
    st.tuples(st.just("view"), person, st.builds(lambda seq: {"seq": seq}, st.integers(1, 12))),
    st.tuples(st.just("joined"), person, st.builds(lambda user: {"user": user, "how": "invite"}, person)),
    st.builds(lambda user: ("left", user, {"user": user, "how": "leave"}), person),
    st.tuples(st.just("left"), person, st.builds(lambda user: {"user": user, "how": "removed"}, person)),
    st.tuples(
        st.just("role"),
        person,
        st.builds(
            lambda user, role: {"user": user, "role": role}, person, st.sampled_from(["owner", "moderator", "member"])
        ),
    ),
    st.tuples(st.just("chat.updated"), person, st.builds(lambda title: {"title": title}, st.text(max_size=3))),
)


share = st.floats(0, 1)


@given(
    creator=person,
    history=st.lists(happening, max_size=40),
    cuts=st.tuples(*[share] * 4, st.tuples(*[share] * 3)),
)
def test_a_copy_with_its_signals_equals_a_fresh_read(
    creator: str,
    history: list[tuple[str, str, dict[str, Any]]],
    cuts: tuple[float, float, float, float, tuple[float, ...]],
) -> None:
    """API section 1: what a read says that it reflects is a lower bound."""
    server = Server()
    server.store("chat.created", creator, {"kind": "group", "title": "t", "members": sorted(PEOPLE[:3])})
    reads = [server.read()]
    for signal_type, by, content in history:
        if content.get("user") == ME and signal_type == "left":
            continue  # ends the copy: LocalState's business
        if content.get("seq", 0) > server.state.head_seq:
            continue  # the gateway refuses it
        server.store(signal_type, by, content)
        reads.append(server.read())
    chat, members, messages, begin = (reads[int(cut * (len(reads) - 1))] for cut in cuts[:4])
    start = min(begin.chat_as_of, chat.chat_as_of, members.chat_as_of, messages.chat_as_of)
    claimed = [
        Offset(start + int(claim * (read.chat_as_of - start)))
        for claim, read in zip(cuts[4], (chat, members, messages), strict=True)
    ]
    copy = ChatCopy(
        chat=chat.chat,
        chat_as_of=claimed[0],
        members=dict(members.members),
        members_as_of=claimed[1],
        messages=list(messages.messages),
        messages_as_of=claimed[2],
        reaches_start=messages.reaches_start,
    )

    for frame in server.frames:
        if frame.offset > start:
            apply(copy, frame, me=ME)

    fresh = server.read()
    assert copy.chat == fresh.chat
    assert list(copy.members.values()) == list(fresh.members.values())
    assert copy.messages == fresh.messages


def test_a_window_holds_the_newest_and_unread_stops_at_its_cap() -> None:
    server = Server()
    server.store("chat.created", ME, {"kind": "group", "members": sorted(PEOPLE[:3])})
    copy = server.read()
    for number in range(chatcopy.WINDOW + 50):
        server.store("msg", "bob", {"text": str(number)})

    for frame in server.frames[1:]:
        apply(copy, frame, me=ME)

    assert [message.seq for message in copy.messages] == list(range(51, chatcopy.WINDOW + 51))
    assert copy.chat.unread == chatcopy.UNREAD_CAP


def test_a_view_before_the_window_leaves_unread_at_its_cap() -> None:
    server = Server()
    server.store("chat.created", ME, {"kind": "group", "members": sorted(PEOPLE[:3])})
    for number in range(chatcopy.WINDOW + 50):
        server.store("msg", "bob", {"text": str(number)})
    copy = server.read()
    server.store("view", ME, {"seq": 7})

    apply(copy, server.frames[-1], me=ME)

    assert copy.chat == server.read().chat
    assert copy.chat.unread == chatcopy.UNREAD_CAP
