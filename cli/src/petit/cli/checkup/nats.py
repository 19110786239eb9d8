"""NATS: who is let in, how the log and the buckets are kept, what time it is there, and what is refused."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from petit.cli.checkup.log import look_at_log
from petit.cli.findings import Finding
from petit.cli.settings import DoctorSettings
from petit.contracts.subjects import OPS_RULES, STREAM
from petit.kit.access import Access
from petit.kit.bootstrap import buckets
from petit.kit.connection import Connection, connect
from petit.kit.errors import LogFault, Outage, Unreached
from petit.kit.jetstream import NANOSECONDS, JetStream, Rejected
from petit.kit.kv import Bucket
from petit.kit.log import Log
from petit.kit.probes import MAX_SKEW_S
from petit.kit.stream import compression

_WITHIN_S: Final = 3.0
_AWAY_S: Final = 5
"""A node that its leader has not heard of for so long is away; it hears of it every second."""
_REFUSED_S: Final = 1.0
"""Until the server has said that a request may not be made; it is never answered."""
_UNSAID: Final = "whether it is refused cannot be seen before a majority of the nodes is up"
_NEARLY_FULL: Final = 0.8
_NEVER: Final = {"Nats-Expected-Last-Sequence": str(2**53)}
"""With it the log stores nothing, whoever may publish."""
_PERSON: Final = "signal.*.person.>"
_CONF: Final = "deploy/nats/nats.conf"


async def look_at_nats(settings: DoctorSettings) -> AsyncIterator[Finding]:
    """Connect as each user, look at streams as the operator, and try what must be refused."""
    async with AsyncExitStack() as stack:
        connected: dict[str, Connection] = {}
        for user, access in settings.nats().items():
            try:
                connected[user] = await stack.enter_async_context(
                    await connect(access, name="petit-doctor", within=_WITHIN_S)
                )
            except (Unreached, OSError) as error:
                yield Finding(f"nats {user}", well=False, says=_not_let_in(error, access))
            else:
                yield Finding(f"nats {user}", well=True, says="let in")
        looks: list[Coroutine[Any, Any, Finding]] = []
        if operator := connected.get("operator"):
            looks += _looks_at_streams(operator, replicas=settings.replicas)
        if notifier := connected.get("notifier"):
            looks.append(_publishes_nothing(notifier))
        if search := connected.get("search"):
            looks.append(_reads_no_person(search))
        for finding in await asyncio.gather(*looks):  # at once: where nobody leads, each waits for some seconds
            yield finding


def _not_let_in(error: Exception, access: Access) -> str:
    text = error.detail if isinstance(error, Outage) else f"{access.ca}: {error}"
    match text.lower():
        case said if "authorization" in said:
            what = (
                f"the servers know another password: compare NATS_{(access.user or '').upper()}_PASSWORD on both sides"
            )
        case said if "certificate" in said or "tls" in said:
            what = f"certificates and {access.ca} do not fit: see deploy/nats/tls.example.conf"
        case _:
            what = "is it up, and may it be reached from here?"
    return f"{text}; {what}"


def _looks_at_streams(nc: Connection, *, replicas: int) -> list[Coroutine[Any, Any, Finding]]:
    names = [STREAM, *(Bucket(nc, bucket).stream for bucket in buckets(replicas=replicas))]
    return [*(_look_at_stream(nc, name, replicas=replicas) for name in names), _look_at_epoch(nc), _look_at_clock(nc)]


async def _look_at_stream(nc: Connection, name: str, *, replicas: int) -> Finding:
    part = "log" if name == STREAM else name.removeprefix("KV_").lower()
    try:
        answer = json.loads(await nc.replies.insist(f"$JS.API.STREAM.INFO.{name}", within=_WITHIN_S))
    except Outage as error:
        return Finding(part, well=False, says=f"{error.detail}; is a majority of the nodes up?")
    faults = _faults(answer, part=part, replicas=replicas)
    warning = "" if faults or part != "log" else _unbounded(answer)
    says = "; ".join([*faults] or [_well(answer), *filter(None, [warning])])
    return Finding(part, well=not faults, says=says, warns=bool(warning))


def _faults(answer: Mapping[str, Any], *, part: str, replicas: int) -> list[str]:
    """Return what is wrong with a stream, each with what to do."""
    if "error" in answer:
        said = answer["error"].get("description", "")
        return [f"{said}: {'see epoch' if part == 'log' else 'run `petit bootstrap`'}"]
    config, cluster = answer["config"], answer.get("cluster") or {}
    faults = []
    if config["num_replicas"] != replicas:
        faults.append(
            f"{config['num_replicas']} of {replicas} replicas: run `petit bootstrap` with PETIT_BOOTSTRAP_REPLICAS="
            f"{replicas}, on a cluster of as many nodes"
        )
    if replicas > 1 and not cluster.get("leader"):
        faults.append("it has no leader: a majority of its nodes must be up")
    away = [peer["name"] for peer in cluster.get("replicas") or () if _is_away(peer)]
    if away:
        faults.append(
            f"{', '.join(away)} is not up to date with it: is that node up? After a start it takes a while; "
            "if it stays so, start it again"
        )
    if part == "log":
        compressed = compression(config["num_replicas"])
        wanted = {"compression": compressed, "discard": "new", "max_age": 0, "retention": "limits", "storage": "file"}
        wrong = [name for name, value in wanted.items() if config.get(name, 0) != value]
        if wrong:
            faults.append(f"{', '.join(wrong)} is not as it was made: run `petit bootstrap`")
        size, bound = answer["state"]["bytes"], config.get("max_bytes", -1)
        if 0 < bound * _NEARLY_FULL <= size:
            faults.append(
                f"it has {size} of {bound} bytes, beyond which sends are refused: give every node room on its disk, "
                "then run `petit bootstrap` with a greater PETIT_BOOTSTRAP_LOG_MAX_BYTES"
            )
    return faults


def _unbounded(answer: Mapping[str, Any]) -> str:
    """Return what to do where only the disks bound the log; empty if it has a bound."""
    if answer["config"].get("max_bytes", -1) > 0:
        return ""
    return (
        "it has no bound but the disks, and a node whose disk was full has to be started again: run `petit bootstrap` "
        "with PETIT_BOOTSTRAP_LOG_MAX_BYTES below what every node has free"
    )


def _is_away(peer: Mapping[str, Any]) -> bool:
    return bool(peer.get("offline") or not peer.get("current") or peer.get("active", 0) > _AWAY_S * NANOSECONDS)


def _well(answer: Mapping[str, Any]) -> str:
    config, cluster = answer["config"], answer.get("cluster") or {}
    nodes = sorted([cluster.get("leader", ""), *(peer["name"] for peer in cluster.get("replicas") or ())])
    where = f" on {', '.join(filter(None, nodes))}" if any(nodes) else ""
    disk = f"; whether each write reaches the disk cannot be seen from here: sync_interval in {_CONF}"
    return f"{config['num_replicas']} replicas{where}{disk if config['name'] == STREAM else ''}"


async def _look_at_epoch(nc: Connection) -> Finding:
    try:
        info = await look_at_log(Log(nc))
    except (Outage, LogFault) as error:
        return Finding("epoch", well=False, says=error.detail if isinstance(error, Outage) else str(error))
    return Finding("epoch", well=True, says=f"{info.epoch}, {info.messages} signals up to offset {info.last}")


async def _look_at_clock(nc: Connection) -> Finding:
    try:
        skew_s = await Log(nc).clock_skew()
    except (Outage, LogFault) as error:
        return Finding("clock", well=False, says=str(error))
    if abs(skew_s) > MAX_SKEW_S:
        return Finding("clock", well=False, says=f"this machine is {skew_s:.0f} s ahead of the log: set both by NTP")
    return Finding("clock", well=True, says=f"this machine is {skew_s:.1f} s ahead of the log")


async def _publishes_nothing(nc: Connection) -> Finding:
    part = "notifier"
    try:
        await JetStream(nc).store(OPS_RULES, b"{}", headers=_NEVER, within=_REFUSED_S)
    except Rejected:  # it was heard, and nothing was stored
        pass
    except Outage as error:
        if _is_refused(nc, OPS_RULES):
            return Finding(part, well=True, says="is refused to publish signals")
        return Finding(part, well=False, says=f"{error.detail}; {_UNSAID}")
    return Finding(part, well=False, says=f"may publish signals: the servers' users are not those of {_CONF}")


async def _reads_no_person(nc: Connection) -> Finding:
    part = "search"
    config = {
        "name": "petit-doctor",
        "filter_subject": _PERSON,
        "ack_policy": "none",
        "inactive_threshold": 1_000_000_000,
        "mem_storage": True,
    }
    try:
        await JetStream(nc).create_consumer(STREAM, config, within=_REFUSED_S)
    except Rejected as error:  # it was heard
        return Finding(part, well=False, says=f"{error.detail}; {_UNSAID}")
    except Outage as error:
        if _is_refused(nc, _PERSON):
            return Finding(part, well=True, says="is refused to read what is to one person")
        return Finding(part, well=False, says=f"{error.detail}; {_UNSAID}")
    return Finding(part, well=False, says=f"may read what is to one person: the users are not those of {_CONF}")


def _is_refused(nc: Connection, subject: str) -> bool:
    """Say whether the server's last word is that we may not publish on a subject that ends so.

    An answer that does not come says nothing: a log without a leader gives none either.
    """
    said = str(nc.last_error).lower()
    return "permissions violation for publish" in said and f'{subject.lower()}"' in said
