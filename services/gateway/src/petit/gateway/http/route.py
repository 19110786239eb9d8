"""The route class of all FastAPI routes: door, query and body are checked alike, before FastAPI looks at them.

FastAPI would parse a body before it knows who asks, answer broken JSON in three different ways, and overlook
query parameters that it does not know.
"""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import from_json

from petit.contracts.problems import FieldError, Refused, invalid, wrong
from petit.gateway.domain.refusals import alike, of_write, pointer
from petit.gateway.http.exchange import Door, exchange_of, read_body
from petit.gateway.ports import Kind
from petit.kit.queries import read_query

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_JSON: Final = (b"content-type", b"application/json")


class ReadRequest(Request):
    """A request whose body was read and parsed already."""

    def __init__(self, request: Request, raw: bytes) -> None:
        kept = [header for header in request.scope["headers"] if header[0] != b"content-type"]
        # every body is JSON, whatever its label says; FastAPI would hand an unlabelled one on as bytes
        super().__init__({**request.scope, "headers": [*kept, _JSON]}, request.receive)
        self._read = raw
        self._value = _parse(raw) if raw else None

    async def body(self) -> bytes:
        """Return the bytes."""
        return self._read

    async def json(self) -> Any:  # noqa: ANN401 - Starlette's own signature
        """Return the value."""
        return self._value


def edge_route(door: Door | None) -> type[APIRoute]:
    """Return the class of routes behind a door; None for those that anybody may ask."""

    class EdgeRoute(APIRoute):
        """A route that checks what all routes check."""

        def get_route_handler(self) -> Handler:
            """See `APIRoute.get_route_handler`: FastAPI's place for what wraps every handler of a class."""
            handle = super().get_route_handler()
            known = frozenset(_query_names(self.dependant))
            takes_body = self.body_field is not None
            kind: Kind = "reads" if self.methods == {"GET"} else "writes"

            async def checked(request: Request) -> Response:
                exchange = exchange_of(request.scope)
                if door is not None:
                    request.state.principal = await door.admit(exchange, kind)
                read_query(request.scope["query_string"], known=known)
                raw = await read_body(exchange, request.receive) if takes_body else b""
                try:
                    return await handle(ReadRequest(request, raw))
                except Refused as refused:
                    told = alike(refused, request.path_params.get("chat", ""))
                    raise (told if kind == "reads" else of_write(told)) from refused

            return checked

    return EdgeRoute


def refused_by_fastapi(error: RequestValidationError) -> Refused:
    """Return the refusal for what FastAPI's validation found."""
    return invalid(_errors(error))


def _errors(error: RequestValidationError) -> Iterator[FieldError]:
    for one in error.errors():
        where, *place = one["loc"]
        at = f"?{place[0]}" if where == "query" and place else pointer(place)
        yield FieldError(pointer=at, detail=one["msg"])


def _parse(raw: bytes) -> object:
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise wrong("", f"not JSON: {error}") from None


def _query_names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        yield parameter.alias
    for dependency in dependant.dependencies:
        yield from _query_names(dependency)
