"""`petit doctor --stack real --new-epoch`: begins the log anew where it is lost, behind or damaged.

Nothing that was folded is lost; what was not, is. Clients start over by themselves. The log's own memory and the read
model say how far the old one had come; the new one begins a million offsets above both. It deletes the old log, so it
believes no single answer: what is wrong must be so for `SURE_S` of `petit.cli.checkup.log`, and once more right before.
"""

from petit.chat.app import adopt, look
from petit.chat.ports import StoreBroken, StoreDown
from petit.cli import show, voice
from petit.cli.checkup.log import look_at_log
from petit.cli.settings import DoctorSettings
from petit.cli.trouble import Trouble
from petit.contracts.cursor import Cursor
from petit.contracts.ids import Epoch
from petit.contracts.subjects import STREAM
from petit.kit.connection import Connection, connect
from petit.kit.errors import LogFault, Outage
from petit.kit.jetstream import JetStream
from petit.kit.log import Log
from petit.kit.stream import LogConfig, LogInfo


async def new_epoch(settings: DoctorSettings) -> None:
    """Make the log anew as the operator, and have the read model go on in it. No service may run.

    Raises:
        Trouble: the log is well, or a server cannot be reached: then nothing was done, or it can be run again.
    """
    voice.hush()
    server = settings.cql
    if server is None:
        raise Trouble("PETIT_DOCTOR_CQL_HOSTS names no database: the read model says how far the old log had come")
    try:
        async with await connect(settings.nats()["operator"], name="petit-doctor") as nc:
            info = await renewed(
                nc, known=await look(server), replicas=settings.replicas, max_bytes=settings.log_max_bytes
            )
        await adopt(server, epoch=Epoch(info.epoch))
    except Outage as error:
        raise Trouble(f"{error.detail}; run it again") from error
    except (StoreDown, StoreBroken) as error:
        raise Trouble(f"{error}; run it again") from error
    show.line(f"The log begins anew: epoch {info.epoch}, from offset {info.first}. Now start the services")


async def renewed(nc: Connection, *, known: Cursor, replicas: int, max_bytes: int = -1) -> LogInfo:
    """Return the log of a new epoch; one that was begun, and that no read model knows yet, if there is one.

    Args:
        nc: A connection as the operator.
        known: Up to where the read model has folded the old log, and which making of it.
        replicas: Copies of the new one.
        max_bytes: Its bound, -1 for none; only where the old one is gone, or had none.

    Raises:
        Trouble: the log is well, or was never made.
        Outage: it cannot be asked, or made; nothing more is lost by running this again.
    """
    log = Log(nc)
    try:
        info = await look_at_log(log, known=known, say=show.line)
    except LogFault as fault:
        return await _remade(nc, fault, known=known, replicas=replicas, max_bytes=max_bytes)
    if known.epoch in {0, info.epoch}:
        raise Trouble("the log is well: a new epoch would throw away what is not folded yet, so nothing was done")
    if not info.messages:
        return info
    raise Trouble(
        f"the log is of epoch {info.epoch} and holds {info.messages} signals, and the read model was folded from "
        f"epoch {known.epoch}: they are not of one installation, so nothing was done"
    )


async def _remade(nc: Connection, fault: LogFault, *, known: Cursor, replicas: int, max_bytes: int) -> LogInfo:
    old = await JetStream(nc).stream(STREAM)
    kept = -1 if old is None else int(old.config.get("max_bytes", -1))
    bound = max_bytes if kept < 0 else kept
    log = Log(nc, config=LogConfig(replicas=replicas, max_bytes=bound))
    epoch, last = await log.known()
    try:
        await log.find(known_epoch=known.epoch, known_offset=known.offset, within=0.0)
    except LogFault as again:
        if type(again) is not type(fault):
            raise Trouble(f"{fault}; and then: {again}. Nothing was done; look again") from again
    else:
        raise Trouble(f"{fault}; but now it is well, so nothing was done")
    show.line(str(fault))
    if bound < 0:
        show.line("The new log has no bound: set PETIT_BOOTSTRAP_LOG_MAX_BYTES and run `petit bootstrap`")
    return await log.new_epoch(at_least=max(known.offset, last), known_epoch=max(known.epoch, epoch))
