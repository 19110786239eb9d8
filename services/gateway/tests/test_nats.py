"""Over a real nats-server: what is asked of chat, the gateway's own subject, and sends on the real log."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from petit.contracts.ids import BEFORE_LOG, ChatId, Offset, Seq, SignalId, Timestamp, UserId
from petit.contracts.problems import Code, Refused, Unavailable
from petit.contracts.resources import Chat, History
from petit.contracts.rpc import (
    ChatAsk,
    Delivered,
    Do,
    DoBatch,
    Done,
    HistoryAsk,
    MembersAsk,
    MessageAsk,
    MineAsk,
    Propose,
    Proposed,
    RoomsAsk,
    Seed,
    SeedMember,
    SentAsk,
    SentBefore,
)
from petit.contracts.signals import Joined, JoinedData, OpsRules, OpsRulesData
from petit.contracts.subjects import GATEWAY_DO, chat_owner, partition
from petit.gateway.adapters.chat import NatsChats
from petit.gateway.app import gateway, over_nats
from petit.gateway.ports import TRACEPARENT
from petit.kit.clock import SystemClock
from petit.kit.connection import Connection, connect
from petit.kit.feed import Feed
from petit.kit.ids import Uuid7Maker
from petit.kit.log import Entry, Log
from petit.kit.mirror import Mirror
from petit.kit.natsserver import NatsConfig, NatsServer
from petit.kit.rpc import answer, ask, serve
from services.gateway.tests.edge import NO_CHAT
from services.gateway.tests.issuing import issuing
from services.gateway.tests.memory import MemoryClock, MemoryDirectory, MemoryTokens

CHAT, ADA, BOB = ChatId(NO_CHAT), UserId("ada"), UserId("bob")
AT = Timestamp("2026-11-20T21:04:05.678Z")
OWNED = {"propose", "chat", "members", "history", "message", "views", "delivered"}


@pytest.fixture
async def nc(tmp_path: Path) -> AsyncIterator[Connection]:
    async with (
        NatsServer(NatsConfig(store=tmp_path)) as server,
        await connect(server.access, name="test") as connection,
    ):
        yield connection


def bodies() -> dict[str, object]:
    """Return an answer for each method, as the chat service words it."""
    empty: dict[str, object] = {"items": [], "next": None}
    message = {"id": NO_CHAT, "seq": 1, "offset": 3, "chat": CHAT, "by": ADA, "at": AT, "text": "hi"}
    chat = Chat(
        id=CHAT,
        kind="group",
        title=None,
        about=None,
        history="all",
        created_at=AT,
        members_count=1,
        role="owner",
        joined_offset=Offset(1),
        head_seq=Seq(0),
        marker=Seq(0),
        unread=0,
        last=None,
    )
    return {
        "propose": Proposed(offset=Offset(7)),
        "chat": chat,
        "members": empty,
        "history": History(items=(), head_seq=Seq(0), first_seq=Seq(0)),
        "message": message,
        "views": empty,
        "delivered": {},
        "mine": empty | {"ordered_at": 7},
        "rooms": empty,
        "sent": SentBefore(found=False),
    }


def questions(chats: NatsChats) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return a question for each method."""
    joined = Joined(id=SignalId(NO_CHAT), by=ADA, at=AT, chat=CHAT, data=JoinedData(user=ADA, how="join"))
    about = MessageAsk(chat=CHAT, viewer=ADA, message=SignalId(NO_CHAT))
    return {
        "propose": lambda: chats.propose(Propose(signal=joined)),
        "chat": lambda: chats.chat(ChatAsk(chat=CHAT, viewer=ADA)),
        "members": lambda: chats.members(MembersAsk(chat=CHAT, viewer=ADA)),
        "history": lambda: chats.history(HistoryAsk(chat=CHAT, viewer=ADA)),
        "message": lambda: chats.message(about),
        "views": lambda: chats.views(about),
        "delivered": lambda: chats.delivered(Delivered(chat=CHAT, markers={ADA: Seq(1)})),
        "mine": lambda: chats.mine(MineAsk(viewer=ADA)),
        "rooms": lambda: chats.rooms(RoomsAsk(viewer=ADA)),
        "sent": lambda: chats.sent(SentAsk(user=ADA, id=SignalId(NO_CHAT))),
    }


async def test_every_question_goes_to_who_can_answer_it(nc: Connection) -> None:
    asked: list[str] = []
    worded = bodies()

    async def handle(subject: str, _: bytes) -> bytes:
        asked.append(subject)
        return answer(worded[subject.rpartition(".")[2]], as_of=Offset(9))

    service = await serve(nc, "rpc.chat.>", handle)
    for method, question in questions(NatsChats(nc)).items():
        await question()
        assert asked[-1] == (chat_owner(partition(CHAT), method) if method in OWNED else f"rpc.chat.any.{method}")
    await service.stop()


async def test_the_trace_of_a_request_goes_with_its_questions(nc: Connection) -> None:
    heard: list[bytes] = []

    async def handle(_: str, payload: bytes) -> bytes:
        heard.append(payload)
        return answer(SentBefore(found=False), as_of=Offset(9))

    service = await serve(nc, "rpc.chat.>", handle)
    token = TRACEPARENT.set("00-trace-span-01")
    await NatsChats(nc).sent(SentAsk(user=ADA, id=SignalId(NO_CHAT)))
    TRACEPARENT.reset(token)
    await NatsChats(nc).sent(SentAsk(user=ADA, id=SignalId(NO_CHAT)))
    await service.stop()

    assert [SentAsk.model_validate_json(one).traceparent for one in heard] == ["00-trace-span-01", None]


async def test_a_refusal_comes_through_as_it_is(nc: Connection) -> None:
    async def handle(_: str, __: bytes) -> bytes:
        raise Refused(Code.READ_BEHIND, "not yet", retry_after=1)

    service = await serve(nc, "rpc.chat.>", handle)
    for question in questions(NatsChats(nc)).values():
        with pytest.raises(Refused) as refused:
            await question()
        assert (refused.value.code, refused.value.retry_after) == (Code.READ_BEHIND, 1)
    await service.stop()


async def test_nobody_there_is_unavailable(nc: Connection) -> None:
    for question in questions(NatsChats(nc, within_s=0.05)).values():
        with pytest.raises(Unavailable):
            await question()


async def test_what_is_no_chats_is_not_proposed(nc: Connection) -> None:
    rules = OpsRules(id=SignalId(NO_CHAT), by=ADA, at=AT, data=OpsRulesData(version=1))

    with pytest.raises(ValueError, match=r"ops\.rules"):
        await NatsChats(nc).propose(Propose(signal=rules))


class Seeds:
    """Ada and bob are in every chat."""

    async def seed(self, chat: ChatId, *, min_offset: Offset) -> Seed:
        members = tuple(
            SeedMember(user=user, role="member", joined_offset=Offset(1), joined_at=AT) for user in (ADA, BOB)
        )
        return Seed(chat=chat, kind="group", members=members)


async def test_fifty_identical_sends_from_three_gateways_are_one_message(nc: Connection) -> None:
    log = Log(nc)
    await log.bootstrap()
    told: list[Entry] = []
    feed = Feed(nc, deliver=told.append, after=None)
    reading = asyncio.create_task(feed.run())
    await feed.started()
    mirror = Mirror(Seeds(), position=lambda: feed.position)
    directory = MemoryDirectory(ADA, BOB)
    tokens = MemoryTokens(MemoryClock(), directory)
    edges = [
        gateway(
            over_nats(
                nc,
                log=log,
                feed=feed,
                mirror=mirror,
                tokens=tokens,
                issuer=issuing(directory),
                clock=SystemClock(ahead_ms=ahead),
            )
        )
        for ahead in (0, 15_000, -15_000)
    ]
    key = str(Uuid7Maker(SystemClock())())
    batch = DoBatch(items=(Do(user=ADA, do="send", text=json.dumps({"chat": CHAT, "id": key, "text": "hi"})),))

    answers = await asyncio.gather(*(edges[n % 3].do(batch.model_dump_json().encode()) for n in range(50)))

    assert sorted(one.count(b'"status":201') for one in answers) == [0] * 49 + [1]
    assert all(one.count(b'"offset":1') for one in answers)
    assert await feed.wait_for(1, within=5)
    assert [entry.offset for entry in told] == [1]
    reading.cancel()


async def test_websocket_writes_are_answered_on_the_gateways_subject(nc: Connection) -> None:
    log = Log(nc)
    await log.bootstrap()
    feed = Feed(nc, deliver=lambda _: None, after=None)
    reading = asyncio.create_task(feed.run())
    await feed.started()
    directory = MemoryDirectory(ADA, BOB)
    edge = gateway(
        over_nats(
            nc,
            log=log,
            feed=feed,
            mirror=Mirror(Seeds(), position=lambda: feed.position),
            tokens=MemoryTokens(MemoryClock(), directory),
            issuer=issuing(directory),
            clock=SystemClock(),
        )
    )
    async with edge.running(nc):
        batch = DoBatch(items=(Do(user=ADA, do="send", text=json.dumps({"chat": CHAT, "text": "hi"})),))
        done, as_of = await ask(nc, GATEWAY_DO, batch, body=Done, within=5)
    with pytest.raises(Unavailable):
        await ask(nc, GATEWAY_DO, batch, body=Done, within=0.05)
    reading.cancel()

    assert as_of == BEFORE_LOG
    assert [(one.status, one.offset) for one in done.items] == [(201, 1)]
