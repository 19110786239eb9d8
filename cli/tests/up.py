"""Starting `petit up` as a user does: a process of its own, on a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx2

READY_S: Final = 60.0
STOP_S: Final = 10.0


def petit(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """Run one short command."""
    environment = {**os.environ, "PETIT_DATA": str(data)}
    command = [sys.executable, "-m", "petit.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def eventually(condition: Callable[[], object], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


class Up:
    """A `petit up` that runs."""

    def __init__(self, data: Path, *options: str, port: int = 0) -> None:
        self.data = data
        command = [sys.executable, "-m", "petit.cli", "up", "--port", str(port), "--data", str(data), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        eventually(lambda: self.process.poll() is not None or self.is_ready(), within_s=READY_S)

    def running(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return fields

    def is_ready(self) -> bool:
        try:
            if self.running()["supervisor"] != self.process.pid:  # the last run's
                return False
            return httpx2.get(f"{self.running()['url']}/readyz", timeout=5, trust_env=False).is_success
        except (OSError, httpx2.TransportError):
            return False

    @property
    def url(self) -> str:
        return str(self.running()["url"])

    def pid(self, name: str) -> int:
        return int(self.running()["processes"][name])

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Stop in order and return all that was printed."""
        self.process.send_signal(number)
        text, _ = self.process.communicate(timeout=STOP_S)
        return text

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
