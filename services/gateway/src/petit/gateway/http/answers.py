"""Answers of FastAPI routes: the resource, and where in the log it stands."""

from pydantic import BaseModel
from starlette.responses import Response

from petit.contracts.ids import Offset


def answer(
    body: BaseModel | None, *, status: int = 200, as_of: Offset | None = None, offset: Offset | None = None
) -> Response:
    """Return the response for a resource.

    Args:
        body: The resource; None for an answer without one.
        status: The HTTP status.
        as_of: What a read reflects.
        offset: Where a write is stored, or later.
    """
    content = b"" if body is None else body.__pydantic_serializer__.to_json(body)
    response = Response(content, status_code=status, media_type=None if body is None else "application/json")
    response.headers["cache-control"] = "no-store"
    if as_of is not None:
        response.headers["petit-as-of"] = str(as_of)
    if offset is not None:
        response.headers["petit-offset"] = str(offset)
    return response
