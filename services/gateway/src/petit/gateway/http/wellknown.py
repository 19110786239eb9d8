"""`GET /.well-known/petit`: what an app has to know before anybody has logged in."""

from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from petit.gateway.http.answers import answer

WELL_KNOWN: Final = "/.well-known/petit"


class Deployment(BaseModel):
    """Whom this deployment is of."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    """The realm's URL, exactly as in tokens; OpenID Connect Discovery has the rest."""


def add_well_known(router: APIRouter, *, issuer: str) -> None:
    """Add the route; no token needed."""

    @router.get(WELL_KNOWN, operation_id="getDeployment", response_model=Deployment)
    async def deployment() -> Response:
        """Return who logs people in here."""
        return answer(Deployment(issuer=issuer))
