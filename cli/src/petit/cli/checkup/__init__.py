"""`petit doctor --stack real`: looks at each server as the services see it, and says what to do.

It changes nothing. What it tries in order to see it refused would store nothing if it were taken.
"""

from collections.abc import AsyncIterator

from petit.cli import voice
from petit.cli.checkup.database import look_at_database
from petit.cli.checkup.nats import look_at_nats
from petit.cli.checkup.realm import look_at_realm
from petit.cli.findings import Finding, report
from petit.cli.settings import DoctorSettings


async def checkup(settings: DoctorSettings, *, json: bool) -> None:
    """Examine the servers and print what is found.

    Raises:
        Trouble: something is not well.
    """
    voice.hush()
    await report(examine(settings), json=json)


async def examine(settings: DoctorSettings) -> AsyncIterator[Finding]:
    """Look at each part in turn."""
    async for finding in look_at_nats(settings):
        yield finding
    yield await look_at_database(settings)
    async for finding in look_at_realm(settings):
        yield finding
