"""What each user of NATS may do, and what it is refused: the lists of deploy/nats/nats.conf, tried on real servers."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats as nats_py
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NoAnswerError

from petit.kit.access import Access
from petit.kit.connection import connect
from petit.kit.errors import Unreached
from petit.kit.log import Log
from tests.nats.cluster import USERS, Cluster, cluster

CHAT = "signal.7.chat.0190aaaa.msg"
PERSON = "signal.7.person.ada.invited"
CREATE = "$JS.API.CONSUMER.CREATE.SIGNALS"
FILTERS = {
    "gateway": "signal.>",
    "notifier": "signal.>",
    "chat": "signal.>",
    "search": "signal.*.chat.>",
    "attachments": "signal.*.chat.*.msg",
}
"""What each of them may read."""
_LONG_NS = 60 * 10**9
_REFUSED_S = 0.02
_SPREAD_S = 0.2
"""Until other nodes know who listens."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all of these: they only ask."""
    making = cluster(tmp_path_factory.mktemp("nats"))
    with asyncio.Runner() as runner:
        made = runner.run(making.__aenter__())
        runner.run(made.bootstrap())
        yield made
        runner.run(making.__aexit__(None, None, None))


class User:
    """A plain NATS client, as anybody who stole a password would have, and what the server refused it."""

    def __init__(self) -> None:
        self._number = itertools.count()
        self.nc: Client
        self.refusals: list[str] = []

    async def on_error(self, error: Exception) -> None:
        """Keep what the server says."""
        self.refusals.append(str(error).lower())

    async def may_publish(self, subject: str, payload: bytes = b"{}") -> bool:
        """Say whether the server takes a message on a subject."""
        self.refusals.clear()
        await self.nc.publish(subject, payload)
        await self._settled()
        return not any("permissions violation for publish" in refusal for refusal in self.refusals)

    async def may_subscribe(self, subject: str) -> bool:
        """Say whether the server lets us listen to a subject."""
        self.refusals.clear()
        subscription = await self.nc.subscribe(subject)
        await self._settled()
        refused = any("permissions violation for subscription" in refusal for refusal in self.refusals)
        await subscription.unsubscribe()
        return not refused

    async def ask(self, subject: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """Ask JetStream; None where it does not even hear us."""
        try:
            answer = await self.nc.request(subject, json.dumps(request).encode(), timeout=0.4)
        except (NoAnswerError, NoRespondersError):
            return None
        return dict(json.loads(answer.data))

    async def _settled(self) -> None:
        """Wait until the server has said what it has to say: a refusal may come a moment after the answer to a ping."""
        await self.nc.flush()
        await asyncio.sleep(_REFUSED_S)
        await self.nc.flush()

    async def makes_consumer(self, *filters: str, subject: str, **config: object) -> bool:
        """Say whether a consumer can be made by asking on a subject.

        Args:
            filters: What it shall deliver; one is a filter, several are several.
            subject: `NAME` in it becomes the consumer's.
        """
        which: dict[str, object] = {"filter_subject": filters[0]} if len(filters) == 1 else {}
        if len(filters) > 1:
            which["filter_subjects"] = list(filters)
        name = f"x{next(self._number)}"
        request = {
            "stream_name": "SIGNALS",
            "config": {"name": name, "ack_policy": "none", "inactive_threshold": 10**9, **which, **config},
            "action": "",
        }
        answer = await self.ask(subject.replace("NAME", name), request)
        return answer is not None and "error" not in answer


@asynccontextmanager
async def user(made: Cluster, name: str) -> AsyncIterator[User]:
    """Connect as a user."""
    one = User()
    access = made.access(name)
    one.nc = await nats_py.connect(
        access.servers,
        user=access.user,
        password=access.password,
        inbox_prefix=access.inbox_prefix,
        error_cb=one.on_error,
        allow_reconnect=False,
    )
    try:
        yield one
    finally:
        await one.nc.close()


@pytest.mark.parametrize("name", USERS)
async def test_only_who_writes_signals_may(shared: Cluster, name: str) -> None:
    async with user(shared, name) as one:
        for subject in (CHAT, PERSON, "signal.0.all.notice", "signal.0.ops.rules"):
            assert await one.may_publish(subject) == (name in {"gateway", "chat"})


@pytest.mark.parametrize("name", USERS)
async def test_nobody_listens_to_what_is_not_his(shared: Cluster, name: str) -> None:
    theirs = [f"_INBOX_{other}.>" for other in USERS if other != name]
    async with user(shared, name) as one:
        for subject in (">", "_INBOX.>", "signal.>", "signal.*.person.>", "$KV.>", "$JS.API.>", "$SYS.>", *theirs):
            assert not await one.may_subscribe(subject), subject
        assert await one.may_subscribe(f"_INBOX_{name}.>")


@pytest.mark.parametrize("name", USERS)
async def test_only_bootstrap_and_an_operator_change_streams(shared: Cluster, name: str) -> None:
    async with user(shared, name) as one:
        for verb in ("CREATE", "UPDATE"):
            allowed = await one.may_publish(f"$JS.API.STREAM.{verb}.OTHER")
            assert allowed == (name in {"bootstrap", "operator"}), verb
        for verb in ("DELETE", "PURGE", "MSG.DELETE", "RESTORE", "SNAPSHOT", "LEADER.STEPDOWN", "PEER.REMOVE"):
            assert await one.may_publish(f"$JS.API.STREAM.{verb}.OTHER") == (name == "operator"), verb
        assert await one.may_publish("$JS.API.CONSUMER.DELETE.SIGNALS.x") == (name == "operator")


@pytest.mark.parametrize("name", USERS)
async def test_each_writes_to_its_own_buckets(shared: Cluster, name: str) -> None:
    writers = {
        "$KV.TICKETS.x": {"gateway", "notifier", "operator"},
        "$KV.LEASES.chat.x": {"chat", "operator"},
        "$KV.LEASES.search.x": {"search", "operator"},
        "$KV.PETIT.log": {"chat", "bootstrap", "operator"},
    }
    async with user(shared, name) as one:
        for subject, allowed in writers.items():
            assert await one.may_publish(subject) == (name in allowed), subject


async def test_requests_go_only_to_whom_a_service_asks(shared: Cluster) -> None:
    askers = {
        "rpc.chat.7.propose": {"gateway", "notifier", "chat", "search", "attachments"},
        "rpc.gateway.do": {"notifier"},
        "rpc.notifier.abc.renew": {"notifier"},
        "live.ctl.folded": {"chat"},
    }
    for name in USERS:
        async with user(shared, name) as one:
            for subject, allowed in askers.items():
                assert await one.may_publish(subject) == (name in allowed), (name, subject)


async def test_search_reads_chats_and_nothing_that_is_to_one_person(shared: Cluster) -> None:
    chats, person, every = "signal.*.chat.>", "signal.*.person.>", "signal.>"
    allowed = f"{CREATE}.NAME.{chats}"
    async with user(shared, "search") as search:
        assert await search.makes_consumer(chats, subject=allowed)
        assert await search.makes_consumer(chats, subject=allowed, deliver_subject=search.nc.new_inbox())

        for filters in ((), (person,), (every,), (PERSON,), (chats, person)):
            assert not await search.makes_consumer(*filters, subject=f"{CREATE}.NAME"), filters
            assert not await search.makes_consumer(*filters, subject=allowed), filters
            assert not await search.makes_consumer(*filters, subject="$JS.API.CONSUMER.CREATE.SIGNALS"), filters
            assert not await search.makes_consumer(
                *filters, subject="$JS.API.CONSUMER.DURABLE.CREATE.SIGNALS.NAME", durable_name="x"
            ), filters
        for filter_ in (person, every, PERSON):
            assert not await search.makes_consumer(filter_, subject=f"{CREATE}.NAME.{filter_}"), filter_


@pytest.mark.parametrize("name", ["search", "attachments", "notifier", "bootstrap"])
async def test_entries_are_not_read_one_by_one(shared: Cluster, name: str) -> None:
    async with user(shared, name) as one:
        from_leader = "$JS.API.STREAM.MSG.GET.SIGNALS"
        assert await one.may_publish(from_leader, b'{"seq":1}') == (name == "notifier"), "its feed may have to"
        for subject in (
            "$JS.API.DIRECT.GET.SIGNALS",
            f"$JS.API.DIRECT.GET.SIGNALS.{PERSON}",
            "$JS.API.CONSUMER.MSG.NEXT.SIGNALS.x",
        ):
            assert not await one.may_publish(subject, b'{"seq":1}'), subject


async def test_an_answer_goes_once_and_only_to_who_asked(shared: Cluster) -> None:
    async with user(shared, "chat") as chat, user(shared, "gateway") as gateway, user(shared, "notifier") as notifier:
        asked = await chat.nc.subscribe("rpc.chat.7.seed")
        await chat.nc.flush()
        inbox = gateway.nc.new_inbox()
        heard = await gateway.nc.subscribe(inbox)
        await gateway.nc.flush()
        await asyncio.sleep(_SPREAD_S)
        await gateway.nc.publish("rpc.chat.7.seed", b"?", reply=inbox)
        question = await asked.next_msg(timeout=2)

        assert not await chat.may_publish(gateway.nc.new_inbox())
        assert not await notifier.may_publish(inbox)
        assert await chat.may_publish(question.reply, b"!")
        assert (await heard.next_msg(timeout=2)).data == b"!"
        assert not await chat.may_publish(question.reply, b"again")


@pytest.mark.parametrize("name", sorted(FILTERS))
async def test_a_consumer_is_no_way_around_what_may_be_published(shared: Cluster, name: str) -> None:
    """It delivers where somebody listens on that very subject; buckets and JetStream's API listen by wildcards."""
    filter_ = FILTERS[name]
    subject = f"{CREATE}.NAME.{filter_}"
    async with user(shared, name) as one, user(shared, "gateway") as gateway, user(shared, "operator") as operator:
        await gateway.nc.request(CHAT, b'{"epoch":9,"offset":9999}', timeout=5)
        before = [await _state(operator, stream) for stream in ("SIGNALS", "KV_PETIT", "KV_TICKETS", "KV_LEASES")]
        inbox = one.nc.new_inbox()
        heard = await one.nc.subscribe(inbox)

        assert not await one.makes_consumer(filter_, subject=subject, deliver_subject="signal.9.chat.other.msg")
        for target in (
            "$KV.PETIT.log",
            "$KV.LEASES.chat.7",
            "$JS.API.STREAM.PURGE.KV_PETIT",
            "$JS.API.STREAM.DELETE.KV_TICKETS",
            "$JS.API.STREAM.DELETE.SIGNALS",
        ):
            for headers_only in (False, True) * 2:  # on this node or on that one
                await one.makes_consumer(
                    filter_,
                    subject=subject,
                    deliver_subject=target,
                    headers_only=headers_only,
                    inactive_threshold=_LONG_NS,
                )
        assert await one.makes_consumer(filter_, subject=subject, deliver_subject=inbox)

        await heard.next_msg(timeout=2)
        await asyncio.sleep(_SPREAD_S)
        after = [await _state(operator, stream) for stream in ("SIGNALS", "KV_PETIT", "KV_TICKETS", "KV_LEASES")]
        consumers = (await operator.ask("$JS.API.CONSUMER.LIST.SIGNALS", {}) or {})["consumers"]
    elsewhere = [one for one in consumers if one["config"].get("deliver_subject", "").startswith("$")]
    assert after == before
    assert len(elsewhere) >= 20
    assert {one["delivered"]["stream_seq"] for one in elsewhere} == {0}


async def _state(operator: User, stream: str) -> object:
    """Return what a stream holds, or what it says instead."""
    answer = await operator.ask(f"$JS.API.STREAM.INFO.{stream}", {})
    assert answer is not None
    return {name: value for name, value in answer["state"].items() if name != "consumer_count"}


async def test_a_consumer_delivers_to_who_listens_on_that_very_subject(shared: Cluster) -> None:
    """What is left open, so that it is known: such a listener hears signals in the place of its own messages."""
    filter_ = FILTERS["search"]
    async with user(shared, "chat") as chat, user(shared, "search") as search, user(shared, "gateway") as gateway:
        heard = await chat.nc.subscribe("live.ctl.folded")
        await chat.nc.flush()
        await asyncio.sleep(_SPREAD_S)

        assert not await search.may_publish("live.ctl.folded")
        assert await search.makes_consumer(
            filter_, subject=f"{CREATE}.NAME.{filter_}", deliver_subject="live.ctl.folded"
        )
        await gateway.nc.request(CHAT, b"{}", timeout=5)

        assert (await heard.next_msg(timeout=2)).subject == CHAT


@pytest.mark.parametrize(
    "who", [{}, {"user": "gateway", "password": "wrong"}, {"user": "root", "password": "proot"}, {"token": "pgateway"}]
)
async def test_who_has_no_name_or_a_wrong_password_is_not_let_in(shared: Cluster, who: dict[str, str]) -> None:
    with pytest.raises(Unreached):
        await connect(Access(url=shared.url, **who), name="stranger", within=0.5)  # type: ignore[arg-type]  # texts


@pytest.mark.timeout(90)
async def test_a_password_changes_node_by_node_while_the_others_work(nats: Cluster) -> None:
    async with nats.connected("chat") as chat, nats.connected("search") as search:
        for number, node in enumerate(nats.nodes):
            node.kill()
            node.change_password("search", "pother")
            node.start()
            stored = await Log(chat).append(CHAT, b"{}", msg_id=str(number), deadline=time.monotonic() + 10)
            assert stored.offset == number + 1
            await nats.healthy()
            if node is not nats.nodes[-1]:
                await search.replies.insist("$JS.API.STREAM.INFO.SIGNALS", within=10)

    with pytest.raises(Unreached):
        await connect(nats.access("search"), name="search", within=0.5)
    access = Access(url=nats.url, user="search", password="pother")
    async with await connect(access, name="search") as search:
        await search.replies.insist("$JS.API.STREAM.INFO.SIGNALS", within=5)


def test_every_user_is_one_that_is_tried_here() -> None:
    text = (Path(__file__).parents[2] / "deploy/nats/nats.conf").read_text()

    assert tuple(line.split()[1] for line in text.splitlines() if line.strip().startswith("user:")) == USERS
