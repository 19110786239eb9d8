"""`/healthz` and `/readyz`: whether this process lives, and whether it should be given requests."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from petit.contracts.problems import Unavailable
from petit.gateway.http.answers import answer

Check = Callable[[], Awaitable[str | None]]
"""Says what is wrong, in one sentence; None where nothing is."""
_TAGS: Final = ["health"]


class Healthy(BaseModel):
    """Nothing is wrong."""

    model_config = ConfigDict(frozen=True)

    ok: bool = True


def add_health(router: APIRouter, *, checks: Sequence[Check]) -> None:
    """Add the routes that an orchestrator asks; no token needed."""

    @router.get("/healthz", operation_id="getHealth", response_model=Healthy)
    async def healthy() -> Response:
        """Answer while the process lives."""
        return answer(Healthy())

    @router.get("/readyz", operation_id="getReadiness", response_model=Healthy)
    async def ready() -> Response:
        """Answer 200 while requests may come: the feed is current, the clock right, the log reachable; else 503."""
        for check in checks:
            wrong = await check()
            if wrong is not None:
                raise Unavailable(wrong)
        return answer(Healthy())
