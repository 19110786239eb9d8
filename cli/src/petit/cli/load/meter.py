"""CPU and memory of the server's processes, read from `/proc`; nothing is asked of the server."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STATE: Final = "run.json"
_UTIME: Final = 11
"""Where utime stands in `/proc/<pid>/stat` behind the parenthesis of the name; stime follows (proc(5))."""


class NoProcess(Exception):
    """A process that should be measured is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the server."""

    name: str
    pid: int


def read_state(data: Path) -> tuple[Process, ...]:
    """Find the processes that `petit up` wrote down, its supervisor among them.

    Raises:
        NoProcess: nothing runs on that data.
    """
    path = data / _STATE
    try:
        state = json.loads(path.read_bytes())
        found = {"supervisor": int(state["supervisor"])} | {str(k): int(v) for k, v in state["processes"].items()}
    except (OSError, ValueError, KeyError) as error:
        raise NoProcess(f"{path} names no running server: {error!r}") from error
    return _checked(Process(name=name, pid=pid) for name, pid in found.items())


def parse_pids(text: str) -> tuple[Process, ...]:
    """Read `name=pid,…`; a bare pid is called by its command.

    Raises:
        NoProcess: there is no such process, or text is not of this form.
    """
    found: list[Process] = []
    for part in text.split(","):
        name, _, pid = part.rpartition("=")
        try:
            known = name or f"{Path(f'/proc/{int(pid)}/comm').read_text().strip()}-{pid}"
            found.append(Process(name=known, pid=int(pid)))
        except (OSError, ValueError) as error:
            raise NoProcess(f"process {part!r} is not there: {error!r}") from error
    return _checked(found)


def _checked(processes: Iterable[Process]) -> tuple[Process, ...]:
    found = tuple({process.pid: process for process in processes}.values())
    for process in found:
        if not Path(f"/proc/{process.pid}").exists():
            raise NoProcess(f"process {process.pid} ({process.name}) is not running")
    return found


def cpu_seconds(processes: tuple[Process, ...]) -> dict[str, float]:
    """Return the CPU-seconds of each process since its start, in user and kernel mode, all threads.

    Raises:
        NoProcess: one has ended, so that a difference would be wrong.
    """
    found: dict[str, float] = {}
    for process in processes:
        try:
            stat = Path(f"/proc/{process.pid}/stat").read_text()
        except OSError as error:
            raise NoProcess(f"process {process.pid} ({process.name}) ended during the measurement") from error
        fields = stat.rpartition(")")[2].split()
        found[process.name] = (int(fields[_UTIME]) + int(fields[_UTIME + 1])) / _TICKS
    return found


def pss_bytes(processes: tuple[Process, ...]) -> dict[str, int]:
    """Return the memory of each process in bytes, shared pages in proportion (`Pss` of smaps_rollup).

    Raises:
        NoProcess: one has ended.
    """
    found: dict[str, int] = {}
    for process in processes:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except OSError as error:
            raise NoProcess(f"process {process.pid} ({process.name}) ended during the measurement") from error
        line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        found[process.name] = int(line.split()[1]) * 1024
    return found
