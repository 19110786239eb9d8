"""The API as an OpenAPI 3.1 document: made from the routes and models, so that it cannot say anything else.

FastAPI describes its own routes. What it does not know is added here: `send`, which goes past it, the headers
that every answer carries, and the problem that every refusal is.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from petit.contracts.problems import Code, Problem
from petit.contracts.resources import Sent
from petit.gateway.domain.bodies import SendBody
from petit.gateway.http.operations import IN_CHAT, WRITE, may_answer

SEND_PATH: Final = "/v1/chats/{chat}/messages"
_REF: Final = "#/components/schemas/{model}"
_JSON: Final = "application/json"
_ABOUT: Final = """\
Chats, members, messages and markers. What happens is read from the stream (see the AsyncAPI file).

Every write that the log holds answers with `Petit-Offset`; every read takes `min_offset` and answers with
`Petit-As-Of`. Refusals are RFC 9457 problems whose `code` never changes meaning.
"""
_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Petit-Request-Id": {"description": "Names this request in the operator's log.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The limit: `q` requests in `w` seconds.", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left of it: `r` requests for `t` seconds.", "schema": {"type": "string"}},
    "Petit-Offset": {
        "description": "Where the write is stored, or later; absent where nothing was.",
        "schema": {"type": "integer"},
    },
    "Petit-As-Of": {"description": "What the answer reflects.", "schema": {"type": "integer"}},
    "Retry-After": {"description": "Whole seconds.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}},
}
_ALWAYS: Final = ("Petit-Request-Id", "RateLimit-Policy", "RateLimit")
_BY_STATUS: Final = {
    "401": ("WWW-Authenticate",),
    "425": ("Retry-After",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}

Document = dict[str, Any]
"""JSON."""


def document(app: FastAPI) -> Document:
    """Return the OpenAPI 3.1 document of the gateway's application, the same for the same code."""
    whole = get_openapi(
        title="Petit Chat",
        version="1",
        openapi_version="3.1.0",
        description=_ABOUT,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "The deployment's origin."}],
    )
    schemas = whole["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= _schemas(Problem, mode="serialization") | _schemas(SendBody, mode="validation")
    schemas |= _schemas(Sent, mode="serialization")
    whole["paths"][SEND_PATH]["post"] = _send(whole["paths"][SEND_PATH]["get"])
    whole["components"]["headers"] = _HEADERS
    for path, operations in whole["paths"].items():
        for operation in operations.values():
            _add_headers(operation, health=not path.startswith("/v1/"))
            _drop_nulls(operation)
    return whole


def _schemas(model: type[BaseModel], *, mode: Any) -> Document:  # noqa: ANN401 - pydantic does not name its type
    places, whole = models_json_schema([(model, mode)], ref_template=_REF)
    del places
    schemas: Document = whole["$defs"]
    return schemas


def _send(beside: Document) -> Document:
    """Describe `send`, which shares its path and so its path parameter with the operation beside it."""
    answers = may_answer(WRITE + IN_CHAT, Code.FILE_NOT_FOUND, Code.CONFLICT_STATE, Code.CLOCK_AHEAD, also={200: None})
    stored = {_JSON: {"schema": {"$ref": _REF.format(model="Sent")}}}
    responses = {str(status): answer for status, answer in answers.items()}
    responses["201"] = {"description": "It is stored", "content": stored}
    responses["200"] = {"description": "It was stored before: the first answer", "content": stored}
    return {
        "summary": "Send",
        "description": "Send a message: 201 means that it is stored. The same `id`, or `nonce` without id, is the "
        "same message whenever it comes: 200 with the first answer.",
        "operationId": "sendMessage",
        "security": beside["security"],
        "parameters": [one for one in beside["parameters"] if one["in"] == "path"],
        "requestBody": {"required": True, "content": {_JSON: {"schema": {"$ref": _REF.format(model="SendBody")}}}},
        "responses": dict(sorted(responses.items())),
    }


def _add_headers(operation: Document, *, health: bool) -> None:
    reads = operation["operationId"].startswith(("get", "list"))
    for status, response in operation["responses"].items():
        names = [*_ALWAYS, *_BY_STATUS.get(status, ())]
        if status.startswith("2") and not health:
            names.append("Petit-As-Of" if reads else "Petit-Offset")
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _drop_nulls(operation: Document) -> None:
    """Say of parameters that they may be absent, not that they may be null: a query has no null."""
    for parameter in operation.get("parameters", ()):
        kept = [one for one in parameter["schema"].pop("anyOf", ()) if one != {"type": "null"}]
        parameter["schema"] |= dict(*kept)
