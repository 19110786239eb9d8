"""A wire between a browser and the server that a test can cut, and that stays cut as long as it wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_CHUNK: Final = 65_536


class Wire:
    """A TCP proxy on a port of its own; enter `wired` to get one."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.cuts = 0
        """Connections that were cut."""
        self.mended = True
        """While false, new connections are cut as they come."""
        self.deaf = False
        """While true, what the server answers is lost: requests arrive, and nobody hears of it."""

    @property
    def url(self) -> str:
        """The origin, as a browser on this wire sees it."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self, *, mended: bool = True) -> None:
        """Cut every connection, in the middle of whatever it says (RST, not FIN).

        Args:
            mended: New ones may be made at once.
        """
        self.mended = mended
        for writer in list(self._open):
            self.cuts += 1
            writer.transport.abort()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it, or it is cut."""
        if not self.mended:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            there = asyncio.create_task(self._carry(reader, far_writer))
            await self._carry(far_reader, writer, answers=True)
            there.cancel()
            with suppress(asyncio.CancelledError):
                await there
            far_writer.transport.abort()
        except OSError:
            pass  # the server is not there: neither is this connection
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                if not (answers and self.deaf):
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def wired(to: int) -> AsyncIterator[Wire]:
    """Put a wire before a port of this machine, until the block ends."""
    wire = Wire(to)
    server = await asyncio.start_server(wire.connect, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.cut(mended=False)
        await server.wait_closed()
