"""`petit up` as its user meets it: one command, one folder, and no way to leave a mess behind."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.tests.up import Up, eventually, is_alive, petit
from petit.kit.ports import free_port


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up") / "data")
    yield running
    running.close()


def test_a_second_up_on_the_same_data_says_who_runs_there(up: Up) -> None:
    refused = petit("up", "--port", "0", data=up.data)

    assert refused.returncode == 1
    assert f"process {up.process.pid} at {up.url}" in refused.stderr


def test_a_port_that_is_taken_is_named_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        refused = petit("up", "--port", str(port), data=tmp_path / "data")

    assert refused.returncode == 1
    assert f"port {port} is taken" in refused.stderr
    assert "--port 0" in refused.stderr


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    refused = petit("up", "--port", "0", data=tmp_path / "data")

    assert refused.returncode in {1, 2}
    assert "data" in refused.stderr


def test_everything_in_the_folder_is_private(up: Up) -> None:
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in [up.data, *up.data.rglob("*")]}

    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


@pytest.mark.parametrize("name", ["server", "nats-server"])
def test_a_process_that_dies_is_started_again(up: Up, name: str) -> None:
    old = up.pid(name)

    os.kill(old, signal.SIGKILL)

    eventually(lambda: up.pid(name) != old and up.is_ready())


def test_nothing_outlives_the_supervisor_or_blocks_the_next_one(tmp_path: Path) -> None:
    port = free_port()
    first = Up(tmp_path / "data", port=port)
    pids = list(first.running()["processes"].values())

    first.close()

    eventually(lambda: not any(map(is_alive, pids)))
    second = Up(tmp_path / "data", port=port)
    assert second.is_ready()
    second.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_in_order_when_told_to(tmp_path: Path, number: int) -> None:
    up = Up(tmp_path / "data")
    pids = list(up.running()["processes"].values())

    up.stop(number)

    assert up.process.returncode == 0
    assert not any(map(is_alive, pids))
    assert not (tmp_path / "data" / "run.json").exists()


def test_processes_of_their_own_share_one_port(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", "--processes", "2")

    names = set(up.running()["processes"])

    assert names == {"nats-server", "edge-0", "edge-1", "chat-0", "chat-1"}
    assert up.is_ready()
    up.stop()


def test_commands_say_that_nothing_runs(tmp_path: Path) -> None:
    refused = petit("login", "ada", data=tmp_path / "data")

    assert refused.returncode == 1
    assert "./petit up" in refused.stderr
