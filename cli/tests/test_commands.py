"""The commands of two people in two terminals, on one installation."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.tests.up import Up, eventually, petit


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("commands") / "data")
    for name in ("ada", "bob"):
        assert petit("login", name, data=running.data).returncode == 0
    yield running
    running.close()


def said(*arguments: str, up: Up) -> str:
    """Run a command that must work, and return what it printed."""
    done = petit(*arguments, data=up.data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_names_every_command_and_is_what_no_arguments_print(tmp_path: Path) -> None:
    bare, helped = petit(data=tmp_path), petit("--help", data=tmp_path)

    assert bare.returncode == helped.returncode == 0
    assert bare.stdout == helped.stdout
    for name in (
        "up",
        "login",
        "send",
        "tail",
        "chats",
        "rooms",
        "create",
        "join",
        "doctor",
        "backup",
        "restore",
        "load",
        "bootstrap",
    ):
        assert f"\n  {name} " in helped.stdout


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["send"], ["up", "--port", "many"], ["tail", "--transport", "post"]]
)
def test_what_is_not_understood_is_a_usage_error(arguments: list[str], tmp_path: Path) -> None:
    assert petit(*arguments, data=tmp_path).returncode == 2


def test_a_message_is_sent_and_read_by_the_other(up: Up) -> None:
    sent = said("send", "--as", "ada", "@bob", "good morning", up=up)

    assert re.fullmatch(r"sent [0-9a-f-]{36} at offset \d+\n", sent)
    assert "ada: good morning" in said("history", "--as", "bob", "@ada", up=up)
    assert "ada: good morning" in said("chats", "--as", "bob", up=up)


def test_json_is_one_object_a_line(up: Up) -> None:
    sent = json.loads(said("send", "--as", "ada", "@bob", "for programs", "--json", up=up))

    lines = [json.loads(line) for line in said("history", "--as", "bob", "@ada", "--json", up=up).splitlines()]

    assert lines[-1]["id"] == sent["id"]
    assert lines[-1]["text"] == "for programs"


def test_sending_twice_with_one_id_is_one_message(up: Up) -> None:
    first = json.loads(said("send", "--as", "ada", "@bob", "once", "--json", up=up))

    again = json.loads(said("send", "--as", "ada", "@bob", "once", "--id", first["id"], "--json", up=up))

    assert again["offset"] == first["offset"]


def test_text_comes_from_standard_input(up: Up) -> None:
    command = [sys.executable, "-m", "petit.cli", "send", "--as", "ada", "@bob", "-"]
    environment = {**os.environ, "PETIT_DATA": str(up.data)}

    subprocess.run(
        command, input="from a pipe", text=True, env=environment, check=True, capture_output=True, timeout=60
    )

    assert "from a pipe" in said("history", "--as", "bob", "@ada", up=up)


def test_reading_makes_no_chat(up: Up) -> None:
    said("login", "--new", "gus", up=up)

    assert petit("history", "--as", "gus", "@ada", data=up.data).returncode == 1
    assert said("chats", "--as", "gus", up=up) == ""


def test_rooms_are_found_joined_and_left_by_their_title(up: Up) -> None:
    said("create", "--as", "ada", "room", "Town Square", up=up)

    joined = said("join", "--as", "bob", "town square", up=up)
    said("send", "--as", "bob", "Town Square", "here I am", up=up)
    members = said("members", "--as", "ada", "Town Square", up=up)
    said("leave", "--as", "bob", "Town Square", up=up)

    assert joined.startswith("joined Town Square")
    assert "Town Square" in said("rooms", "--as", "bob", "town", up=up)
    assert members.split() == ["owner", "ada", "member", "bob"]
    assert "bob" not in said("members", "--as", "ada", "Town Square", up=up)


def test_a_tail_goes_on_through_a_killed_server(up: Up) -> None:
    before = up.pid("server")
    said("send", "--as", "ada", "@bob", "zero", up=up)
    environment = {**os.environ, "PETIT_DATA": str(up.data)}
    cursor = json.loads(said("tail", "--as", "bob", "--since-start", "--json", "-n", "1", up=up))["cursor"]
    command = [sys.executable, "-m", "petit.cli", "tail", "--as", "bob", "@ada", "--cursor", cursor, "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        lines = [json.loads(tail.stdout.readline())]
        os.kill(before, signal.SIGKILL)
        eventually(lambda: up.pid("server") != before and up.is_ready())
        said("send", "--as", "ada", "@bob", "after the kill", up=up)
        while lines[-1]["data"].get("text") != "after the kill":
            lines.append(json.loads(tail.stdout.readline()))
        tail.send_signal(signal.SIGINT)

    offsets = [line["offset"] for line in lines]
    assert offsets == sorted(set(offsets))
    assert len(offsets) > 1


def test_ctrl_c_ends_a_tail_with_130(up: Up) -> None:
    command = [sys.executable, "-m", "petit.cli", "tail", "--as", "bob", "--since-start"]
    environment = {**os.environ, "PETIT_DATA": str(up.data)}
    said("send", "--as", "ada", "@bob", "hello", up=up)
    tail = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert tail.stdout is not None
    tail.stdout.readline()

    tail.send_signal(signal.SIGINT)
    tail.communicate(timeout=30)

    assert tail.returncode == 130


def test_what_others_write_cannot_command_the_terminal(up: Up) -> None:
    said("send", "--as", "ada", "@bob", "\x1b[2J\x07bell\nline", up=up)

    shown = said("history", "--as", "bob", "@ada", "-n", "1", up=up)

    assert "\x1b" not in shown
    assert "bell⏎line" in shown


def test_log_ins_are_private_and_known(up: Up) -> None:
    names = said("login", up=up)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (up.data / "cli").glob("*.json")}

    assert {"ada", "bob"} <= set(names.replace("*", "").split())
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["send", "--as", "ada", "@nobody", "hello"], "nobody called nobody"),
        (["send", "--as", "ada", "No Such Chat", "hello"], "no chat of yours"),
        (["send", "--as", "mallory", "@ada", "hello"], "./petit login mallory"),
        (["join", "--as", "ada", "No Such Room"], "no room"),
        (["tail", "--as", "ada", "--cursor", "nonsense"], "cursor"),
        (["login", "--new", "ada"], "somebody called ada already"),
        (["login", "../escape"], "not a name"),
        (["backup", "/nonexistent/file"], "running"),
        (["doctor", "--new-epoch"], "running"),
    ],
)
def test_a_refusal_is_one_paragraph_and_exit_code_1(arguments: list[str], words: str, up: Up) -> None:
    refused = petit(*arguments, data=up.data)

    assert refused.returncode == 1
    assert words in refused.stderr
    assert refused.stderr.startswith("petit: ")
    assert "Traceback" not in refused.stderr


def test_the_doctor_finds_a_running_installation_well(up: Up) -> None:
    findings = [json.loads(line) for line in said("doctor", "--json", up=up).splitlines()]

    assert {finding["part"] for finding in findings} >= {"programs", "folder", "processes", "edge", "issuer", "log"}
    assert all(finding["well"] for finding in findings)


def test_logs_hold_no_secrets(up: Up) -> None:
    tokens = [json.loads(path.read_text())["grant"]["access_token"] for path in (up.data / "cli").glob("*.json")]
    secrets = [*tokens, (up.data / "nats.token").read_text().strip(), "good morning"]

    texts = [path.read_text() for path in (up.data / "logs").iterdir()]

    assert [secret for secret in secrets if any(secret in text for text in texts)] == []
