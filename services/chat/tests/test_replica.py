"""What a replica does when it, its store or the log goes away: nothing is lost, doubled or guessed."""

import asyncio
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import pytest

from petit.chat.app import adopt_epoch, digest, highest_checkpoint
from petit.chat.domain.rows import Batch, SignalRow
from petit.chat.handlers.folding import RulesTooNew
from petit.chat.ports import StoreBroken, StoreDown
from petit.contracts import rpc
from petit.contracts.ids import Epoch, Offset, SignalId, UserId
from petit.contracts.problems import Code, Refused
from petit.contracts.signals import (
    ChatCreated,
    ChatCreatedData,
    Joined,
    JoinedData,
    MsgVoid,
    MsgVoidData,
    OpsRules,
    OpsRulesData,
    encode,
)
from petit.contracts.subjects import ALL_DELIVERED, OPS_RULES
from petit.kit.errors import LogBehind, LogLost
from petit.kit.leases import ReplicaTakenError
from petit.kit.natsserver import NatsServer
from services.chat.tests.asking import Edge, edge_of, eventually, now, replica_of
from services.chat.tests.test_questions import ADA, BOB, until_announced


async def test_a_chat_that_is_held_is_seeded_while_the_store_is_down(server: NatsServer, tmp_path: Path) -> None:
    """What is folded is true, whether or not it is stored yet; reads wait for the store, streams do not."""

    async def down(batch: Batch) -> None:
        raise StoreDown(f"{len(batch.signals)} signals wait")

    async with replica_of(server, tmp_path / "chat.db") as running, edge_of(server) as edge:
        chat = await edge.create("group", ADA, BOB)
        commit, running.store.commit = running.store.commit, down  # type: ignore[method-assign]  # the store is down
        offset = await edge.say(chat, "not stored yet", by=ADA)

        seed = await edge.about(chat, "seed", rpc.SeedAsk(chat=chat, min_offset=offset), body=rpc.Seed)
        assert (seed.offset, seed.head_seq, {member.user for member in seed.members}) == (offset, 1, {ADA, BOB})
        with pytest.raises(Refused) as refused:
            await edge.history(chat, BOB, min_offset=offset)
        assert refused.value.code == Code.READ_BEHIND

        running.store.commit = commit  # type: ignore[method-assign]  # it is back
        assert (await edge.history(chat, BOB, min_offset=offset)).head_seq == 1


async def test_a_proposal_that_is_made_again_gets_the_same_verdict(edge: Edge) -> None:
    chat = await edge.create("room", ADA)
    join = Joined(id=edge.id(), by=BOB, at=now(), chat=chat, data=JoinedData(user=BOB, how="join"))

    first = await edge.propose(join, chat)
    await edge.leave(chat, BOB)
    again = await edge.propose(join.model_copy(update={"at": "2030-01-01T00:00:00.000Z"}), chat)
    same = await edge.propose(join, chat)

    assert (first.void, first.repeated) == (None, False)
    assert (again.offset, again.at, again.void, again.repeated) == (first.offset, join.at, None, True)
    assert same == first


async def test_another_proposal_under_the_same_id_is_a_conflict(edge: Edge) -> None:
    chat = await edge.create("room", ADA)
    join = Joined(id=edge.id(), by=BOB, at=now(), chat=chat, data=JoinedData(user=BOB, how="join"))
    await edge.propose(join, chat)

    with pytest.raises(Refused) as refused:
        await edge.propose(join.model_copy(update={"data": JoinedData(user=ADA, how="join")}), chat)

    assert refused.value.code == Code.CONFLICT_STATE


async def test_what_plainly_breaks_a_rule_is_refused_and_not_stored(edge: Edge) -> None:
    chat = await edge.create("group", ADA)
    before = (await edge.log.info()).last

    assert (await edge.join(chat, BOB)).void == "not_joinable"
    assert (await edge.join(chat, ADA, by=ADA)).void == "already_member"
    assert (await edge.leave(edge.chat_id(), ADA)).void == "no_chat"
    assert (await edge.log.info()).last == before


async def test_a_thousand_joins_at_once_are_quick_and_all_hold(edge: Edge) -> None:
    chat = await edge.create("room", ADA)

    started = time.monotonic()
    verdicts = await asyncio.gather(*(edge.join(chat, f"u{number}") for number in range(1_000)))
    took = time.monotonic() - started

    assert {verdict.void for verdict in verdicts} == {None}
    assert (await edge.chat(chat, ADA)).members_count == 1_001
    assert took < 10


async def test_a_chat_created_by_both_sides_at_once_is_one_chat(edge: Edge) -> None:
    chat = edge.chat_id()

    def creation(by: UserId, other: UserId) -> ChatCreated:
        data = ChatCreatedData(kind="group", title=f"{by}'s", members=(other,))
        return ChatCreated(id=edge.id(), by=by, at=now(), chat=chat, data=data)

    proposals = [creation(ADA, BOB) if number % 2 else creation(BOB, ADA) for number in range(100)]
    verdicts = await asyncio.gather(*(edge.propose(proposal, chat) for proposal in proposals))

    assert sorted(verdict.void or "" for verdict in verdicts) == ["", *["chat_exists"] * 99]


async def test_a_restart_goes_on_where_it_stopped_and_a_rebuild_gives_the_same(
    server: NatsServer, tmp_path: Path
) -> None:
    store, rebuilt = tmp_path / "chat.db", tmp_path / "rebuilt.db"
    async with edge_of(server) as edge:
        async with replica_of(server, store):
            chat = await edge.create("room", ADA, BOB)
            for number in range(50):
                await edge.say(chat, f"{number}", by=ADA)
            await edge.leave(chat, BOB, by=ADA)
        missed = await edge.say(chat, "nobody folds this now", by=BOB)
        async with replica_of(server, store):
            history = await edge.history(chat, ADA, min_offset=missed)
            announced = await until_announced(edge, BOB, after=missed)
        async with replica_of(server, rebuilt):
            await edge.chat(chat, ADA, min_offset=announced)

        assert (history.head_seq, history.items[-1].text) == (50, "49")
        assert digest(store) == digest(rebuilt)
        assert (await edge.log.info()).last == announced


async def test_a_void_send_is_announced_once_whatever_crashes(server: NatsServer, tmp_path: Path) -> None:
    async with edge_of(server) as edge:
        async with replica_of(server, tmp_path / "chat.db"):
            chat = await edge.create("group", ADA, BOB)
            removed = await edge.leave(chat, BOB, by=ADA)
            for number in range(5):
                await edge.say(chat, f"late {number}", by=BOB)
        last = Offset(removed.offset + 10)  # each send, and an announcement of each
        for _ in range(3):
            async with replica_of(server, tmp_path / "chat.db"):
                request = rpc.PersonBacklogAsk(user=BOB, after=removed.offset, to=last)
                await eventually_at(edge, last)
                backlog = await edge.any("person_backlog", request, body=rpc.Backlog)
                assert len(backlog.items) == 5

        assert (await edge.log.info()).last == last


async def test_announcements_that_are_in_the_log_are_not_made_again_by_a_rebuild(
    server: NatsServer, tmp_path: Path
) -> None:
    async with edge_of(server) as edge:
        async with replica_of(server, tmp_path / "chat.db"):
            chat = await edge.create("group", ADA, BOB)
        void = await edge.say(chat, "no member", by="eve")
        data = MsgVoidData(message=edge.id(), offset=void, reason="not_member")
        told = await edge.store(MsgVoid(id=edge.id(), by=UserId("eve"), at=now(), chat=chat, data=data), chat)
        async with replica_of(server, tmp_path / "rebuilt.db"):
            await edge.chat(chat, ADA, min_offset=told)
            later = await edge.say(chat, "no member", by="eve")
            await eventually_at(edge, Offset(later + 1))

        assert (await edge.log.info()).last == told + 2


async def test_a_chat_that_is_further_than_its_checkpoint_is_not_folded_twice(
    server: NatsServer, tmp_path: Path
) -> None:
    store = tmp_path / "chat.db"
    async with edge_of(server) as edge:
        async with replica_of(server, store):
            chat = await edge.create("room", ADA, BOB)
            offset = [await edge.say(chat, f"{number}", by=ADA) for number in range(20)][-1]
            await edge.chat(chat, ADA, min_offset=offset)
        _write(store, "UPDATE checkpoints SET offset = 7")
        for path in (store, tmp_path / "rebuilt.db"):
            async with replica_of(server, path):
                offset = await edge.view(chat, 0, by=ADA)
                assert (await edge.chat(chat, ADA, min_offset=offset)).head_seq == 20
        async with replica_of(server, store):
            await edge.chat(chat, ADA, min_offset=offset)

    assert digest(store) == digest(tmp_path / "rebuilt.db")


async def test_nothing_is_refused_by_a_replica_that_has_not_caught_up(server: NatsServer, tmp_path: Path) -> None:
    async with edge_of(server) as edge:
        async with replica_of(server, tmp_path / "chat.db"):
            chat = await edge.create("room", ADA)
        await asyncio.gather(*(edge.say(chat, f"{number}", by=ADA) for number in range(3_000)))
        join = Joined(id=edge.id(), by=BOB, at=now(), chat=chat, data=JoinedData(user=BOB, how="join"))
        await edge.store(join, chat)
        async with replica_of(server, tmp_path / "chat.db"):
            left = await edge.leave(chat, BOB)

    assert left.void is None


async def eventually_at(edge: Edge, offset: Offset) -> None:
    """Wait until the read model has come so far, longer than one read would."""
    async with asyncio.timeout(20):
        while True:
            with suppress(Refused):
                await edge.any("memberships", rpc.MembershipsAsk(users=(), min_offset=offset), body=rpc.Memberships)
                return


async def test_replicas_share_the_partitions_and_take_over_from_one_that_stops(
    server: NatsServer, tmp_path: Path
) -> None:
    store = tmp_path / "chat.db"
    async with edge_of(server) as edge, replica_of(server, store, name="chat-0") as first:
        async with replica_of(server, store, name="chat-1") as second:
            chats = [await edge.create("group", ADA, BOB) for _ in range(40)]
            offset = [await edge.say(chat, "hello", by=ADA) for chat in chats][-1]
            await eventually(lambda: bool(first.folding.active and second.folding.active))
            assert not first.folding.active & second.folding.active
            mine = await edge.any("mine", rpc.MineAsk(viewer=BOB, min_offset=offset, limit=200), body=rpc.MinePage)
            assert {chat.id for chat in mine.items} == set(chats)
            offset = [await edge.say(chat, "while both run", by=BOB) for chat in chats][-1]
        for chat in chats:
            await edge.say(chat, "while one runs", by=BOB)
        for chat in chats:
            history = await edge.history(chat, ADA, min_offset=offset)
            assert [item.seq for item in history.items][:2] == [1, 2]
            said = await edge.say(chat, "after", by=ADA)
            assert [item.text for item in (await edge.history(chat, ADA, min_offset=said)).items] == [
                "hello",
                "while both run",
                "while one runs",
                "after",
            ]


async def test_a_process_whose_name_another_took_stops(server: NatsServer, tmp_path: Path) -> None:
    async def both() -> None:
        async with replica_of(server, tmp_path / "chat.db"), replica_of(server, tmp_path / "chat.db"):
            await asyncio.sleep(30)

    with pytest.raises(ReplicaTakenError, match="another process runs as chat-0"):
        await both()


async def test_a_log_behind_the_read_model_stops_until_there_is_a_new_epoch(server: NatsServer, tmp_path: Path) -> None:
    store = tmp_path / "chat.db"
    async with edge_of(server) as edge:
        async with replica_of(server, store):
            chat = await edge.create("group", ADA, BOB)
            await edge.history(chat, ADA, min_offset=await edge.say(chat, "kept", by=ADA))
        _write(store, "UPDATE checkpoints SET offset = 500")
        with pytest.raises(LogBehind, match="doctor --new-epoch"):
            async with replica_of(server, store):
                await asyncio.sleep(30)

        info = await edge.log.new_epoch(at_least=highest_checkpoint(store))
        with pytest.raises(LogLost, match=f"epoch {info.epoch}.*epoch {info.epoch - 1}.*doctor --new-epoch"):
            async with replica_of(server, store):
                await asyncio.sleep(30)

        adopt_epoch(store, epoch=Epoch(info.epoch))
        async with replica_of(server, store):
            offset = await edge.say(chat, "in the new epoch", by=BOB)
            history = await edge.history(chat, ADA, min_offset=offset)

    assert offset >= 1_000_500
    assert [(item.seq, item.text) for item in history.items] == [(1, "kept"), (2, "in the new epoch")]


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_replica_that_stops_while_the_server_is_away_ends_in_time(
    server: NatsServer, tmp_path: Path, *, comes_back: bool
) -> None:
    async with edge_of(server) as edge, replica_of(server, tmp_path / "chat.db"):
        chat = await edge.create("group", ADA)
        await edge.chat(chat, ADA)
        server.kill()
        if comes_back:
            await server.start()
        stopped = time.monotonic()

    assert time.monotonic() - stopped < 9


async def test_rules_of_the_future_stop_the_fold_now_and_at_the_next_start(server: NatsServer, tmp_path: Path) -> None:
    store = tmp_path / "chat.db"

    async with edge_of(server) as edge:

        async def meet(version: int) -> None:
            data = OpsRulesData(version=version)
            rules = OpsRules(id=edge.id(), by=UserId("ops"), at=now(), data=data)
            async with replica_of(server, store):
                await edge.log.append(OPS_RULES, encode(rules), msg_id=rules.id)
                await edge.create("group", ADA)
                await asyncio.sleep(30 if version > 1 else 0)

        await meet(1)
        with pytest.raises(RulesTooNew, match="version 2 of the rules, and this program knows 1"):
            await meet(2)
        _write(store, "INSERT INTO rules VALUES (99, 2)")
        with pytest.raises(RulesTooNew, match="the read model was folded by version 2"):
            await meet(3)


async def test_a_damaged_store_is_named_with_what_to_do(server: NatsServer, tmp_path: Path) -> None:
    store = tmp_path / "chat.db"
    store.write_bytes(b"this is no database" * 1_000)

    with pytest.raises(StoreBroken, match=r"chat\.db is damaged.*move chat\.db.*rebuilt from the log"):
        async with replica_of(server, store):
            await asyncio.sleep(30)


async def test_delivered_is_told_to_whoever_listens_and_only_forward(edge: Edge) -> None:
    chat = await edge.create("group", ADA, BOB)
    offset = [await edge.say(chat, f"{number}", by=ADA) for number in range(5)][-1]
    heard = await edge.nc.subscribe(ALL_DELIVERED)

    for seq in (3, 2, 3, 99):
        request = rpc.Delivered(chat=chat, markers={BOB: seq}, min_offset=offset)  # type: ignore[dict-item]  # plain numbers
        await edge.about(chat, "delivered", request, body=dict)

    notes = [rpc.DeliveredNote.model_validate_json((await heard.next_msg(timeout=5)).data) for _ in range(2)]
    assert [(note.chat, note.by, note.seq) for note in notes] == [(chat, BOB, 3), (chat, BOB, 5)]
    assert heard.pending_msgs == 0


def _write(store: Path, statement: str) -> None:
    db = sqlite3.connect(store)
    with db:
        db.execute(statement)
    db.close()


async def test_a_proposal_whose_copy_is_looked_for_too_early_gets_the_answer_of_the_first(
    server: NatsServer, tmp_path: Path
) -> None:
    """Asked twice at once: the copy finds nothing, and then a chat in which the first has been done already."""
    async with replica_of(server, tmp_path / "chat.db") as running, edge_of(server) as edge:
        chat = await edge.create("room", ADA)
        joined = Joined(id=edge.id(), by=BOB, at=now(), chat=chat, data=JoinedData(user=BOB, how="join"))
        sent = running.store.sent
        looked, first_done = asyncio.Event(), asyncio.Event()

        async def slowly(user: UserId, *, id: SignalId) -> SignalRow | None:
            found = await sent(user, id=id)
            if not looked.is_set():
                looked.set()
                await first_done.wait()
            return found

        running.store.sent = slowly  # type: ignore[method-assign]  # a slow store
        copy = asyncio.create_task(edge.propose(joined, chat))
        await looked.wait()
        first = await edge.propose(joined, chat)
        first_done.set()

        assert first.void is None
        assert await copy == first
