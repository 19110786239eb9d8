"""`/healthz` and `/readyz`: whether this process lives, and whether it should be given requests."""

from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from petit.contracts.problems import Unavailable
from petit.gateway.http.answers import answer
from petit.kit.probes import HEALTHZ, READYZ, Readiness

_TAGS: Final = ["health"]


class Healthy(BaseModel):
    """Nothing is wrong."""

    model_config = ConfigDict(frozen=True)

    ok: bool = True


def add_health(router: APIRouter, *, readiness: Readiness) -> None:
    """Add the routes that an orchestrator asks; no token needed."""

    @router.get(HEALTHZ, operation_id="getHealth", response_model=Healthy)
    async def healthy() -> Response:
        """Answer while the process lives."""
        return answer(Healthy())

    @router.get(READYZ, operation_id="getReadiness", response_model=Healthy)
    async def ready() -> Response:
        """Answer 200 while requests may come: the feed is current, the clock right, and keys were seen; else 503."""
        wrong = await readiness.wrong()
        if wrong is not None:
            raise Unavailable(wrong)
        return answer(Healthy())
