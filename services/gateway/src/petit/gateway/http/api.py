"""The API as FastAPI has it: every route but `send`, and how what goes wrong is answered."""

from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from petit.contracts.problems import Code, Refused
from petit.gateway.handlers.commands import Commands
from petit.gateway.handlers.creating import Creating
from petit.gateway.handlers.markers import Deliveries, Views
from petit.gateway.handlers.reads import Reads
from petit.gateway.handlers.sending import Sending
from petit.gateway.handlers.sessions import Sessions
from petit.gateway.http.backchannel import add_backchannel
from petit.gateway.http.chats import add_chats
from petit.gateway.http.compat import Counter, add_compat_of_callers, add_log_in, add_sign_up
from petit.gateway.http.exchange import Door, exchange_of
from petit.gateway.http.health import add_health
from petit.gateway.http.markers import add_markers
from petit.gateway.http.members import add_members
from petit.gateway.http.messages import add_messages
from petit.gateway.http.people import add_people
from petit.gateway.http.problems import internal, problem_response
from petit.gateway.http.route import edge_route, refused_by_fastapi
from petit.gateway.http.send import chat_in
from petit.gateway.http.tickets import add_tickets
from petit.gateway.http.wellknown import add_well_known
from petit.gateway.ports import Clock, Feed, Tickets
from petit.kit.probes import Readiness

_NOT_FOUND = 404
_METHOD_REFUSED = 405
_NOBODY_READS = 499
"""For the log of a proxy at most (nginx's number): the client is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """What routes and subscribers call."""

    sending: Sending
    creating: Creating
    commands: Commands
    views: Views
    deliveries: Deliveries
    reads: Reads
    sessions: Sessions
    counter: Counter
    """How often people may log in."""
    issuer: str
    """The realm's URL, which apps are told."""
    sign_up: bool
    """Whether anybody may make an account here; else there is no such route."""


def api(
    handlers: Handlers,
    *,
    door: Door,
    feed: Feed,
    tickets: Tickets,
    clock: Clock,
    secure: bool,
    readiness: Readiness,
) -> FastAPI:
    """Return the application.

    Args:
        handlers: What routes call.
        door: Who may come in.
        feed: How far this process has read the log.
        tickets: Where tickets are kept.
        clock: What time it is.
        secure: The public origin is https.
        readiness: What `/readyz` answers.
    """
    app = FastAPI(title="Petit Chat", openapi_url=None, redirect_slashes=False, separate_input_output_schemas=True)
    router = app.router
    router.route_class = edge_route(None)
    add_health(router, readiness=readiness)
    add_well_known(router, issuer=handlers.issuer)
    if handlers.sign_up:
        add_sign_up(router, sessions=handlers.sessions, counter=handlers.counter)
    add_log_in(router, sessions=handlers.sessions, counter=handlers.counter)
    add_backchannel(router, tokens=door.tokens, sessions=handlers.sessions)
    router.route_class = edge_route(door)
    add_chats(router, creating=handlers.creating, commands=handlers.commands, reads=handlers.reads)
    add_members(router, commands=handlers.commands, reads=handlers.reads)
    add_messages(router, reads=handlers.reads)
    add_markers(router, views=handlers.views, deliveries=handlers.deliveries)
    add_tickets(router, tickets=tickets, clock=clock, secure=secure)
    add_people(router, reads=handlers.reads, feed=feed)
    add_compat_of_callers(router, sessions=handlers.sessions)
    _add_problems(app)
    return app


def methods_of(app: FastAPI, path: str) -> list[str]:
    """Return what may be done with a path, sorted; empty where there is no such route."""
    methods: set[str] = set()
    for route in app.routes:
        if isinstance(route, Route) and route.path_regex.match(path):
            methods |= route.methods or set()
    if chat_in(path) is not None:
        methods.add("POST")
    if "GET" in methods:
        methods.add("HEAD")
    return sorted({*methods, "OPTIONS"}) if methods else []


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return _told(request, error)

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, error: RequestValidationError) -> Response:
        return _told(request, refused_by_fastapi(error))

    @app.exception_handler(Exception)
    async def crashed(request: Request, _: Exception) -> Response:
        return _told(request, internal(exchange_of(request.scope).request_id))

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=_NOBODY_READS)

    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        if error.status_code == _METHOD_REFUSED:
            response = _told(request, Refused(Code.METHOD_REFUSED, f"{path} does not know {request.method}"))
            response.headers["allow"] = ", ".join(methods_of(app, path))
            return response
        if error.status_code == _NOT_FOUND:
            return _told(request, Refused(Code.ROUTE_NOT_FOUND, f"there is no route {path}"))
        raise error


def _told(request: Request, refused: Refused) -> Response:
    return problem_response(refused, request_id=exchange_of(request.scope).request_id)
