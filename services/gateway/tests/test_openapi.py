"""The OpenAPI document: complete, and true of the API as schemathesis finds it."""

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import positive_data_acceptance

from petit.gateway.app import openapi
from services.gateway.tests.edge import edge

EXAMPLES = 10
"""Cases for each operation."""

NOT_CHECKED: list[CheckFunction] = [positive_data_acceptance]
"""A cursor is opaque, a `min_offset` may lie ahead, and of four places in history one is taken: no schema says that."""

AnyCase = Case[Any]

world = edge()
schema = schemathesis.openapi.from_dict(openapi())
schema.app = world.gateway.asgi
chat = asyncio.run(world.create("ada", kind="room", title="Lobby", members=["bob", "cat"]))
message = asyncio.run(world.send("ada", chat)).json()["id"]


@schema.auth()
class Ada:
    """Cases are ada's, but for those that schemathesis leaves without a token on purpose."""

    def get(self, case: AnyCase, context: object) -> str:
        return "ada"

    def set(self, case: AnyCase, data: str, context: object) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


def test_every_operation_says_how_it_refuses() -> None:
    for path, operations in openapi()["paths"].items():
        if not path.startswith("/v1/"):
            continue
        for operation in operations.values():
            assert operation["security"] == [{"token": []}]
            behind = "425" if operation["operationId"].startswith(("get", "list")) else "422"
            assert {"401", "422", behind, "429", "500", "503"} <= set(operation["responses"])
            for status, response in operation["responses"].items():
                if status >= "4":
                    assert list(response["content"]) == ["application/problem+json"]


@schema.parametrize()
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_the_document_is_true(case: AnyCase) -> None:
    case.call_and_validate(excluded_checks=NOT_CHECKED)


@schema.include(path_regex=r"\{chat\}").parametrize()
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_the_document_is_true_of_a_chat_that_is_there(case: AnyCase) -> None:
    case.path_parameters |= {"chat": chat}
    if "message" in case.path_parameters:
        case.path_parameters |= {"message": message}
    case.call_and_validate(excluded_checks=NOT_CHECKED)
