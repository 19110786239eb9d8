"""The schemas that are kept in the tree, each with the function it is an export of.

`just schemas` writes them; `test_schemas.py` refuses a tree in which one is stale.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from petit.contracts.schemas import asyncapi, signals_schema
from petit.gateway.app import openapi

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "contracts/schemas/signals.schema.json": signals_schema,
    "contracts/schemas/stream.asyncapi.json": asyncapi,
    "contracts/schemas/gateway.openapi.json": openapi,
}


def text(schema: dict[str, Any]) -> str:
    """Return a schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def export(root: Path) -> None:
    """Write every schema to its place below a folder."""
    for name, make in SCHEMAS.items():
        (root / name).write_text(text(make()), encoding="utf-8")


if __name__ == "__main__":
    export(Path(__file__).parents[2])
