"""One session with the cluster: prepared statements, and questions that are awaited.

The reactor is libev: measured beside the driver's asyncio reactor it takes less (docs/adr/0012). Connecting and
preparing block, and run in a thread while nobody is served yet; afterwards no thread is used.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from cassandra import ConsistencyLevel, UnresolvableContactPoints
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    Session,
)
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    HostStateListener,
    NoSpeculativeExecutionPolicy,
    SpeculativeExecutionPolicy,
    TokenAwarePolicy,
)
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType, PreparedStatement, SimpleStatement, tuple_factory

from petit.chat.adapters.cql.bridge import Bridge, Page, Row
from petit.chat.adapters.cql.errors import translated
from petit.chat.ports import CqlServer, StoreBroken, StoreDown

ANSWER_S: Final = 3.0
"""Seconds after which a question is given up."""
WRITE_S: Final = 10.0
"""Seconds after which a write is; longer, because to repeat it burdens a database that is late already."""
IN_FLIGHT: Final = 128
"""Requests that one call has under way at once."""
PAGE: Final = 2_000
"""Rows of a table that an answer brings at once."""
SCAN_S: Final = 30.0
_CONNECT_S: Final = 5.0
_RECONNECT_S: Final = 1.0
_SPECULATE_S: Final = 0.25
"""Seconds after which a second node is asked the same. Only reads: all that we send may be done twice, but writes
are late where all nodes are busy."""
_ALONE: Final = "alone"
"""Writes, and what reads whole tables: one node is asked."""
_PROTOCOL: Final = 4
"""The newest that both databases speak."""

_log = structlog.get_logger(__name__)

Values = Sequence[Any]


@asynccontextmanager
async def connected(server: CqlServer, *, keyspace: str | None, everywhere: bool = False) -> "AsyncIterator[Database]":
    """Connect to a cluster, and disconnect in the end.

    Args:
        server: The cluster.
        keyspace: What statements are about; None where there may be none yet.
        everywhere: Read and write every copy of each row.

    Raises:
        StoreDown: no node can be reached.
        StoreBroken: there is no such keyspace, or we may not use it.
    """
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # what it tells, our errors tell, in a line
    database = Database(server, level=ConsistencyLevel.ALL if everywhere else ConsistencyLevel.LOCAL_QUORUM)
    try:
        await database.connect(keyspace)
        yield database
    finally:
        await database.settle()
        await asyncio.to_thread(database.close)


class Database:
    """A cluster that is connected. Every method raises `StoreDown` and `StoreBroken` as the port does."""

    def __init__(self, server: CqlServer, *, level: int = ConsistencyLevel.LOCAL_QUORUM) -> None:
        self._server = server
        self._level = level
        self._where = str(server)
        self._bridge = Bridge()
        self._losses = _Losses()
        self._cluster: Cluster = None
        self._keyspace: str | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._session: Session = None
        self._prepared: dict[str, PreparedStatement] = {}

    async def connect(self, keyspace: str | None) -> None:
        """Connect; to be called once."""
        self._keyspace = keyspace
        try:
            # Names are looked up there.
            self._cluster = await asyncio.to_thread(_cluster, self._server, self._level, self._losses)
        except UnresolvableContactPoints as error:
            raise translated(error, where=self._where) from error
        self._session = await self._blocking(lambda: _session(self._cluster, keyspace))

    async def settle(self) -> None:
        """Wait for a new connection that is being made: it cannot be stopped."""
        if self._renewing is not None:
            await asyncio.wait([self._renewing])

    def close(self) -> None:
        """Disconnect. Blocking."""
        if self._cluster is not None:
            self._cluster.shutdown()

    @property
    def losses(self) -> int:
        """How often a node was lost since the start, as the driver noticed."""
        return self._losses.count

    @property
    def datacenter(self) -> str:
        """The one of the nodes that are asked."""
        return str(next(iter(self._cluster.metadata.all_hosts())).datacenter)

    async def use(self, keyspace: str) -> None:
        """Let statements be about a keyspace from here on."""
        await self._blocking(lambda: self._session.set_keyspace(keyspace))
        self._keyspace = keyspace

    async def prepare(self, texts: Iterable[str]) -> None:
        """Prepare statements, so that they can be used."""
        self._prepared |= await self._blocking(lambda: _prepare(self._session, texts))

    async def rows(self, text: str, values: Values) -> list[Row]:
        """Return what a prepared question answers, all pages of it."""
        statement = self._prepared[text].bind(values)
        return await self._whole(statement, self._sent(statement))

    async def many(self, text: str, values: Iterable[Values]) -> list[list[Row]]:
        """Return what one prepared question answers for each of many values, in their order; some are asked at once."""
        prepared = self._prepared[text]
        return [rows async for rows in self._pipelined(prepared.bind(one) for one in values)]

    async def write(self, groups: Iterable[Sequence[tuple[str, Values]]]) -> None:
        """Write groups of rows, some at once; when this returns, all are acknowledged. A group is one request."""
        async for _ in self._pipelined(map(self._grouped, groups), profile=_ALONE, within=WRITE_S):
            pass

    async def scan(self, text: str) -> AsyncIterator[Row]:
        """Give every row that a question over a whole table answers, in no order."""
        statement = SimpleStatement(text, fetch_size=PAGE, is_idempotent=True)
        next_: asyncio.Future[Page] | None = self._sent(statement, profile=_ALONE, within=SCAN_S)
        while next_ is not None:
            page = await self._answer(next_)
            next_ = None
            if page.more:  # asked for while this one is looked at
                next_ = self._sent(statement, profile=_ALONE, within=SCAN_S, after=page.more)
            for row in page.rows:
                yield row

    async def run(self, text: str, values: Values = ()) -> list[Row]:
        """Run a statement that is not prepared, with `%s` for each value."""
        statement = SimpleStatement(text)
        return await self._whole(statement, self._sent(statement, values or None, within=SCAN_S))

    async def change(self, text: str) -> None:
        """Change the schema, and wait until all nodes agree on it.

        Raises:
            StoreDown: they do not in time.
        """
        response = self._session.execute_async(SimpleStatement(text), timeout=SCAN_S)
        await self._answer(self._bridge.answer(response))
        if not response.is_schema_agreed:
            raise StoreDown(f"{self._where}: the nodes do not agree on the schema yet")

    def _renew_soon(self) -> None:
        """Connect anew, once at a time: a node that came back at another address is found by its name alone."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(), name="chat.cql.renew")

    async def _renew(self) -> None:
        def connect() -> tuple[Cluster, Session, dict[str, PreparedStatement]]:
            cluster = _cluster(self._server, self._level, self._losses)
            try:
                session = _session(cluster, self._keyspace)
                return cluster, session, _prepare(session, tuple(self._prepared))
            except BaseException:
                cluster.shutdown()
                raise

        try:
            cluster, session, prepared = await asyncio.to_thread(connect)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next question that fails tries again
            _log.info("store.unreached", where=self._where, error=repr(error))
            return
        old, self._cluster, self._session, self._prepared = self._cluster, cluster, session, prepared
        _log.info("store.reached_anew", where=self._where)
        await asyncio.to_thread(old.shutdown)

    async def _blocking(self, work: Callable[[], Any]) -> Any:
        """Do what the driver does only synchronously: all of it before anybody is served."""
        try:
            return await asyncio.to_thread(work)
        except Exception as error:
            raise translated(error, where=self._where) from error

    def _grouped(self, group: Sequence[tuple[str, Values]]) -> Any:
        if len(group) == 1:
            text, values = group[0]
            return self._prepared[text].bind(values)
        batch = BatchStatement(BatchType.UNLOGGED)
        batch.is_idempotent = True
        for text, values in group:
            batch.add(self._prepared[text].bind(values))
        return batch

    async def _pipelined(self, statements: Iterable[Any], **options: Any) -> AsyncIterator[list[Row]]:
        """Send statements, at most so many at once, and give their answers in their order."""
        waiting: deque[tuple[Any, asyncio.Future[Page]]] = deque()
        try:
            for statement in statements:
                waiting.append((statement, self._sent(statement, **options)))
                if len(waiting) == IN_FLIGHT:
                    yield await self._whole(*waiting.popleft())
            while waiting:
                yield await self._whole(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()

    async def _whole(self, statement: Any, future: "asyncio.Future[Page]") -> list[Row]:
        """Return the page that was asked for, and those behind it; each is a request of its own."""
        page = await self._answer(future)
        rows = page.rows
        while page.more:
            page = await self._answer(self._sent(statement, after=page.more))
            rows = [*rows, *page.rows]
        return rows

    async def _answer(self, future: "asyncio.Future[Page]") -> Page:
        try:
            return await future
        except asyncio.CancelledError:
            raise
        except NoHostAvailable as error:
            self._renew_soon()
            raise translated(error, where=self._where) from error
        except Exception as error:
            raise translated(error, where=self._where) from error

    def _sent(
        self,
        statement: Any,
        values: Values | None = None,
        *,
        profile: Any = EXEC_PROFILE_DEFAULT,
        within: float = ANSWER_S,
        after: bytes | None = None,
    ) -> "asyncio.Future[Page]":
        response = self._session.execute_async(
            statement, values, timeout=within, execution_profile=profile, paging_state=after
        )
        return self._bridge.answer(response)


def _session(cluster: Cluster, keyspace: str | None) -> Session:
    session = cluster.connect(keyspace)
    session.use_client_timestamp = False  # every write of ours says its own
    return session


def _prepare(session: Session, texts: Iterable[str]) -> dict[str, PreparedStatement]:
    found = {}
    for text in texts:
        prepared = session.prepare(text)
        prepared.is_idempotent = True
        found[text] = prepared
    return found


def unset(value: Any) -> Any:
    """Return a value to be written; None leaves the column alone instead of writing a tombstone."""
    return UNSET_VALUE if value is None else value


def secured(server: CqlServer) -> ssl.SSLContext | None:
    """Return how to verify a node, and what to show it; None: no TLS.

    Raises:
        OSError: the authority's file cannot be read, or is none.
        StoreBroken: so it is with our certificate or its key.
    """
    if server.ca is None:
        return None
    context = ssl.create_default_context(cafile=server.ca)
    if server.cert is not None:
        try:
            context.load_cert_chain(server.cert, server.key)
        except OSError as error:
            raise StoreBroken(f"{server.cert}, {server.key}: {error}") from error
    return context


class _Losses(HostStateListener):  # type: ignore[misc]  # the driver is untyped
    """Counts nodes that were lost; called in threads of the driver."""

    def __init__(self) -> None:
        self.count = 0

    def on_down(self, host: Any) -> None:
        self.count += 1

    def on_up(self, host: Any) -> None:
        """Not of interest."""

    def on_add(self, host: Any) -> None:
        """Not of interest."""

    def on_remove(self, host: Any) -> None:
        """Not of interest."""


def _cluster(server: CqlServer, level: int, losses: _Losses) -> Cluster:
    def profile(speculation: SpeculativeExecutionPolicy) -> ExecutionProfile:
        return ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(local_dc=server.datacenter or "")),
            consistency_level=level,
            serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
            row_factory=tuple_factory,
            speculative_execution_policy=speculation,
        )

    profiles = {
        EXEC_PROFILE_DEFAULT: profile(ConstantSpeculativeExecutionPolicy(_SPECULATE_S, 1)),
        _ALONE: profile(NoSpeculativeExecutionPolicy()),
    }
    cluster = Cluster(
        list(server.hosts),
        port=server.port,
        connection_class=LibevConnection,
        protocol_version=_PROTOCOL,
        execution_profiles=profiles,
        auth_provider=PlainTextAuthProvider(server.user, server.password or "") if server.user else None,
        ssl_context=secured(server),
        reconnection_policy=ConstantReconnectionPolicy(_RECONNECT_S, max_attempts=None),
        connect_timeout=_CONNECT_S,
        control_connection_timeout=_CONNECT_S,
        idle_heartbeat_interval=5,
        idle_heartbeat_timeout=5,
    )
    cluster.register_listener(losses)
    return cluster
