"""Log files stay small, and what matters reaches the terminal."""

import io
import json
from pathlib import Path

import pytest

from petit.cli.supervisor.logs import KEPT, Journal, LogFile, Terminal, colours_wanted, warning_in
from petit.cli.supervisor.pace import FIRST_S, HEALTHY_S, LONGEST_S, Pace


class Console(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_keeps_a_bounded_number_of_files_of_a_bounded_size(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "server.log", max_bytes=100)

    for number in range(100):
        log.write(f"line {number:04}")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["server.log"] + [
        f"server.log.{number}" for number in range(1, KEPT + 1)
    ]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert (tmp_path / "server.log").read_text().endswith("line 0099\n")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "missing" / "server.log")

    log.write("lost")

    assert list(log.tail) == ["lost"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('{"event":"feed.lost","level":"warning","lag_s":3}', "feed.lost lag_s=3"),
        ('{"event":"process.ready","level":"info"}', None),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("[1, 2]", "[1, 2]"),
        ("  ", None),
    ],
)
def test_warnings_are_for_people_and_the_rest_is_for_the_file(line: str, shown: str | None) -> None:
    assert warning_in(line) == shown


def test_a_journal_writes_everything_and_shows_what_matters(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    journal = Journal("edge-0", folder=tmp_path, terminal=Terminal(out, err, colours=False))

    journal.take(json.dumps({"event": "process.ready", "level": "info"}))
    journal.take(json.dumps({"event": "feed.lost", "level": "warning"}))

    assert len((tmp_path / "edge-0.log").read_text().splitlines()) == 2
    assert err.getvalue() == "edge-0: feed.lost\n"
    assert out.getvalue() == ""


def test_a_warning_that_repeats_itself_is_shown_once(tmp_path: Path) -> None:
    err = io.StringIO()
    journal = Journal("chat-0", folder=tmp_path, terminal=Terminal(io.StringIO(), err, colours=False))

    for _ in range(5):
        journal.take(json.dumps({"event": "fold.waits", "level": "warning"}))

    assert err.getvalue().splitlines() == ["chat-0: fold.waits"]
    assert len((tmp_path / "chat-0.log").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("stream", "environment", "wanted"),
    [
        (Console(), {}, True),
        (Console(), {"NO_COLOR": "1"}, False),
        (Console(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    stream: io.StringIO, environment: dict[str, str], *, wanted: bool
) -> None:
    assert colours_wanted(stream, environment=environment) is wanted


def test_restarts_slow_down_in_a_row_and_are_quick_after_a_healthy_life() -> None:
    pace = Pace()

    pauses = [pace.pause_s(lived_s=0.1) for _ in range(12)]

    assert pauses[0] == FIRST_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_S
    assert pace.pause_s(lived_s=HEALTHY_S) == FIRST_S
