"""What an orchestrator is told: alive while the process is, ready while it can do its own part."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from kit.tests.auth.minting import Clock
from petit.kit.errors import LogLost, Unreached
from petit.kit.probes import Readiness, of_edge, with_probes
from petit.kit.serving import ASGI


class Log:
    """A feed and a log whose state a test sets."""

    lag_s = 0.0
    skew_s = 0.0
    error: Exception | None = None
    asked = 0

    async def clock_skew(self) -> float:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.skew_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def get(app: ASGI, path: str) -> tuple[int, dict[str, Any]]:
    """Ask an application, and return the status and the body of its answer."""
    told: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    await app({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)
    return told[0]["status"], json.loads(told[1]["body"])


async def test_a_process_that_lives_and_is_well_says_so() -> None:
    log = Log()
    app = with_probes(None, of_edge(log, log))

    assert await get(app, "/healthz") == (200, {"ok": True})
    assert await get(app, "/readyz") == (200, {"ok": True})
    assert (await get(app, "/v1/me"))[0] == 404


async def test_an_edge_whose_feed_lags_is_alive_and_not_ready() -> None:
    log = Log()
    log.lag_s = 5.1
    app = with_probes(None, of_edge(log, log))

    status, problem = await get(app, "/readyz")

    assert (status, problem["code"]) == (503, "unavailable")
    assert "lags 5 s" in problem["detail"]
    assert (await get(app, "/healthz"))[0] == 200


async def test_what_else_must_be_right_is_looked_at_last(clock: Clock) -> None:
    log = Log()

    async def unkeyed() -> str | None:
        return "no key"

    readiness = of_edge(log, log, clock=clock, checks=[unkeyed])
    assert await readiness.wrong() == "no key"
    log.lag_s = 5.1
    clock.time += 1
    assert "lags" in str(await readiness.wrong())


async def test_an_edge_whose_clock_is_wrong_says_by_how_much(clock: Clock) -> None:
    log = Log()
    readiness = of_edge(log, log, clock=clock)

    for skew_s, words in ((600.0, "600 s ahead of"), (-600.0, "600 s behind")):
        log.skew_s = skew_s
        clock.time += 1
        assert words in str(await readiness.wrong())
    log.skew_s = -19.0
    clock.time += 1
    assert await readiness.wrong() is None


async def test_a_log_that_does_not_answer_for_a_moment_leaves_an_edge_ready(clock: Clock) -> None:
    log = Log()
    readiness = of_edge(log, log, clock=clock)

    async def wrong(error: Exception | None) -> str | None:
        log.error = error
        clock.time += 1
        return await readiness.wrong()

    assert "has not said" in str(await wrong(Unreached("no leader now")))
    assert await wrong(None) is None
    assert await wrong(Unreached("no leader now")) is None
    assert await wrong(LogLost("the stream is gone")) == "the stream is gone"


async def test_however_often_it_is_asked_the_log_is_asked_once_in_a_second(clock: Clock) -> None:
    log = Log()
    app = with_probes(None, of_edge(log, log, clock=clock))

    together = await asyncio.gather(*(get(app, "/readyz") for _ in range(50)))
    clock.time += 0.9
    soon = await get(app, "/readyz")
    asked = log.asked
    log.error = LogLost("the stream is gone")
    clock.time += 0.2
    later = await get(app, "/readyz")

    assert {status for status, _ in [*together, soon]} == {200}
    assert asked == 1
    assert later[0] == 503
    assert log.asked == 2


async def test_who_asks_and_goes_away_keeps_nobody_from_the_answer(clock: Clock) -> None:
    log = Log()
    readiness = of_edge(log, log, clock=clock)
    gone = asyncio.create_task(readiness.wrong())
    await asyncio.sleep(0)
    gone.cancel()

    assert await readiness.wrong() is None
    assert gone.cancelled()


async def test_on_its_way_out_a_process_is_not_ready_and_still_serves() -> None:
    served: list[str] = []

    async def app(scope: MutableMapping[str, Any], *_: object) -> None:
        served.append(scope["path"])

    async def well() -> str | None:
        return None

    readiness = Readiness([well])
    probed = with_probes(app, readiness)
    leaving = asyncio.create_task(readiness.leave(after_s=60))
    await asyncio.sleep(0)

    status, problem = await get(probed, "/readyz")
    await probed({"type": "http", "path": "/v1/me"}, None, None)  # type: ignore[arg-type]  # not looked at

    assert status == 503
    assert "about to stop" in problem["detail"]
    assert served == ["/v1/me"]
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
