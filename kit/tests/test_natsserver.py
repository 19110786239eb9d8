"""The server starts, says what is wrong where it does not, and never outlives us."""

import asyncio
import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from kit.tests.reading import eventually
from petit.kit import damage
from petit.kit.access import Access
from petit.kit.connection import Connection, connect
from petit.kit.errors import LogLost, Outage, Unreached
from petit.kit.log import Log
from petit.kit.natsserver import NatsConfig, NatsServer, NatsServerError, find_binary

SUBJECT = "signal.7.chat.0190.msg"


def alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_server_keeps_its_data_and_port_over_restarts(tmp_path: Path) -> None:
    server = NatsServer(NatsConfig(store=tmp_path, sync_always=True))
    await server.start()
    port = server.port
    async with await connect(server.access, name="test") as nc:
        log = Log(nc)
        await log.bootstrap()
        await log.append(SUBJECT, b"x", msg_id="1")
    await server.stop()
    await server.stop()

    await server.start()

    assert server.port == port
    async with await connect(server.access, name="test") as nc:
        assert (await Log(nc).info()).last == 1
    await server.stop()


async def test_the_configuration_is_nobody_elses_business(server: NatsServer, tmp_path: Path) -> None:
    assert (tmp_path / "nats" / "nats-server.conf").stat().st_mode & 0o777 == 0o600
    assert server.token not in repr(NatsConfig(store=tmp_path, token=server.token))


async def test_nobody_enters_without_the_token(server: NatsServer) -> None:
    with pytest.raises(Unreached, match="no NATS server"):
        await connect(Access(url=server.url, token="wrong"), name="stranger", within=0.5)


def log_sizes(store: Path) -> list[int]:
    """Return the sizes of the server's log file and of its older ones, in bytes."""
    return [file.stat().st_size for file in store.glob("nats-server.log*")]


async def annoyed(server: NatsServer) -> None:
    """Have the server complain, in some 150 bytes each time."""
    for _ in range(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b'CONNECT {"verbose":false,"auth_token":"wrong"}\r\n')
        await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_what_the_server_says_takes_bounded_room(tmp_path: Path) -> None:
    server = NatsServer(NatsConfig(store=tmp_path, max_log_file=4_000))

    for _ in range(3):
        async with server:
            await annoyed(server)

    sizes = log_sizes(tmp_path)
    assert 1 < len(sizes) <= 3
    assert sum(sizes) < 3 * 5_000


async def test_a_taken_port_is_named(server: NatsServer, tmp_path: Path) -> None:
    with pytest.raises(NatsServerError, match=f"port {server.port} is taken"):
        await NatsServer(NatsConfig(store=tmp_path / "other", port=server.port)).start()


async def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "jetstream").write_text("this is no directory", encoding="ascii")

    with pytest.raises(NatsServerError, match="nats-server did not start") as caught:
        await NatsServer(NatsConfig(store=tmp_path)).start()

    assert str(tmp_path) in str(caught.value)


async def test_a_server_that_ends_by_itself_is_noticed(server: NatsServer) -> None:
    os.kill(server.pid, signal.SIGKILL)

    assert await asyncio.wait_for(server.wait(), 2) == -signal.SIGKILL


async def test_a_server_that_is_not_there_has_no_process() -> None:
    server = NatsServer(NatsConfig(store=Path("unused")))

    with pytest.raises(NatsServerError, match="not running"):
        _ = server.pid


async def test_a_server_dies_with_whoever_started_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from petit.kit.natsserver import NatsConfig, NatsServer\n"
        "async def main():\n"
        "    server = NatsServer(NatsConfig(store=pathlib.Path(sys.argv[1])))\n"
        "    await server.start()\n"
        "    print(server.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 20))
    assert alive(pid)

    parent.kill()
    await parent.wait()

    await eventually(lambda: not alive(pid), within=2)


async def test_the_binary_is_the_wheels() -> None:
    assert Path(find_binary()).parent == Path(sys.executable).parent


async def test_a_connection_is_back_within_half_a_second(server: NatsServer, nc: Connection) -> None:
    breaks: list[str] = []
    stop = nc.on_disconnected(lambda: breaks.append("broken"))
    nc.on_reconnected(lambda: breaks.append("back"))
    server.kill()
    await eventually(lambda: breaks == ["broken"])
    await server.start()
    started = time.monotonic()

    await eventually(lambda: breaks == ["broken", "back"])

    assert time.monotonic() - started < 0.5
    stop()
    await nc.force_reconnect()
    await eventually(lambda: breaks == ["broken", "back", "back"])


async def test_whoever_waits_is_told_when_the_connection_breaks(server: NatsServer, nc: Connection) -> None:
    await nc.subscribe("silent")
    started = time.monotonic()
    waiting = asyncio.create_task(nc.replies.request("silent", b"", within=30))
    await asyncio.sleep(0)

    server.kill()

    with pytest.raises(Exception, match="broke"):
        await waiting
    assert time.monotonic() - started < 1


async def filled(store: Path) -> NatsServer:
    """Return a stopped server with a log of some entries in more than one block."""
    server = NatsServer(NatsConfig(store=store))
    async with server, await connect(server.access, name="test") as nc:
        log = Log(nc)
        await log.bootstrap()
        for number in range(12):
            await log.append(SUBJECT, os.urandom(1_000_000), msg_id=str(number))
    return server


def scribble(file: Path) -> None:
    """Overwrite what is in the middle of a file."""
    with file.open("r+b") as raw:
        raw.seek(file.stat().st_size // 2)
        raw.write(os.urandom(200))


async def test_damage_is_remembered_until_it_is_settled(tmp_path: Path) -> None:
    server = await filled(tmp_path)
    newest = max((tmp_path / "jetstream").rglob("SIGNALS/msgs/*.blk"), key=lambda block: int(block.stem))
    scribble(newest)

    async with server:
        assert newest.name in " ".join(server.damage)
    async with server:
        assert newest.name in " ".join(server.damage)
        damage.forget(tmp_path)
        assert not server.damage


async def test_a_stream_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    server = await filled(tmp_path)
    for file in (tmp_path / "jetstream").rglob("SIGNALS/meta.inf"):
        scribble(file)

    async with server, await connect(server.access, name="test") as nc:
        assert "checksums do not match" in server.damage[0]
        with pytest.raises(LogLost):
            await Log(nc).bootstrap()


async def test_a_killed_server_is_not_damaged(tmp_path: Path) -> None:
    server = await filled(tmp_path)
    await server.start()
    server.kill()

    async with server:
        assert server.damage == ()


async def test_a_server_that_can_write_has_no_write_error(server: NatsServer) -> None:
    assert await server.write_error() is None


async def test_a_server_that_is_not_up_has_no_write_error(server: NatsServer) -> None:
    server.kill()

    assert await server.write_error() is None


async def test_a_write_that_failed_is_told_until_the_server_begins_anew(server: NatsServer) -> None:
    async with await connect(server.access, name="test") as nc:
        log = Log(nc)
        await log.bootstrap()
        await log.append(SUBJECT, b"x", msg_id="1")
        unwritable = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

        with pytest.raises(Outage):
            await log.append(SUBJECT, bytes(8192), msg_id="2", deadline=time.monotonic() + 1)

        assert unwritable
        assert "file too large" in (await server.write_error() or "")
