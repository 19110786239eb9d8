"""Where a process of `petit up` runs, and what it needs to know to find the others."""

from dataclasses import dataclass
from typing import Final

from petit.cli.datadir import DataDir
from petit.cli.settings import LocalSettings
from petit.kit.access import Access
from petit.kit.clock import SystemClock
from petit.kit.stream import LogConfig

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a process runs, and what it is called."""

    name: str
    """`edge-1`: the number says which clock is its."""
    data: DataDir
    port: int
    nats: Access
    settings: LocalSettings

    @property
    def url(self) -> str:
        """The origin that people reach."""
        return f"http://{HOST}:{self.port}"

    @property
    def origins(self) -> frozenset[str]:
        """The origins that the page may have been loaded from."""
        return frozenset({self.url, f"http://localhost:{self.port}"})

    @property
    def log(self) -> LogConfig:
        """What the log is made as."""
        return LogConfig(duplicate_window=self.settings.duplicate_window_s)

    @property
    def clock(self) -> SystemClock:
        """The clock that this process goes by."""
        number = self.name.rpartition("-")[2]
        index = int(number) if number.isdecimal() else 0
        ahead = self.settings.clocks_ahead_ms
        return SystemClock(ahead_ms=ahead[index] if index < len(ahead) else 0)
