"""The check that keeps signals readable for ever fails when they are broken (R05)."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from petit.contracts.compat import breaking
from petit.contracts.schemas import asyncapi, signals_schema

RELEASED = Path(__file__).parent.parent / "schemas" / "released.schema.json"
Schema = dict[str, Any]


def test_nothing_breaks_what_was_released() -> None:
    assert breaking(json.loads(RELEASED.read_bytes()), signals_schema()) == []


def gone_type(new: Schema) -> None:
    del new["types"]["joined"]


def gone_field(new: Schema) -> None:
    del new["$defs"]["MsgData"]["properties"]["text"]


def renamed_field(new: Schema) -> None:
    new["$defs"]["Left"]["properties"]["author"] = new["$defs"]["Left"]["properties"].pop("by")


def retyped_field(new: Schema) -> None:
    new["$defs"]["ViewData"]["properties"]["seq"] = {"type": "string"}


def newly_required(new: Schema) -> None:
    new["$defs"]["RoleData"]["properties"]["reason"] = {"type": "string"}
    new["$defs"]["RoleData"]["required"].append("reason")


def narrowed_values(new: Schema) -> None:
    new["$defs"]["LeftData"]["properties"]["how"]["enum"].remove("banned")


def narrowed_items(new: Schema) -> None:
    new["$defs"]["MsgData"]["properties"]["mentions"]["items"] = {"type": "integer"}


def shortened(new: Schema) -> None:
    new["$defs"]["MsgData"]["properties"]["text"]["maxLength"] = 10


def no_longer_null(new: Schema) -> None:
    new["$defs"]["Msg"]["properties"]["nonce"] = {"type": "string"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (gone_type, "type joined is gone"),
        (gone_field, "msg.data.text is gone"),
        (renamed_field, "left.by is gone"),
        (retyped_field, "view.data.seq no longer takes integer"),
        (newly_required, "role.data.reason is newly required"),
        (narrowed_values, "left.data.how no longer takes 'banned'"),
        (narrowed_items, "msg.data.mentions[] no longer takes string"),
        (shortened, "msg.data.text has a narrower maxLength"),
        (no_longer_null, "msg.nonce no longer takes null"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_breaking_change_is_refused(change: Callable[[Schema], None], complaint: str) -> None:
    old = signals_schema()
    new = copy.deepcopy(old)

    change(new)

    assert complaint in breaking(old, new)


def test_an_addition_is_welcome() -> None:
    old = signals_schema()
    new = copy.deepcopy(old)
    new["types"]["poll.opened"] = "#/$defs/View"
    new["$defs"]["MsgData"]["properties"]["mood"] = {"type": "string", "default": ""}

    assert breaking(old, new) == []


def test_every_reference_of_the_stream_description_leads_somewhere() -> None:
    document = asyncapi()
    references = [ref for ref in _references(document) if not _resolves(document, ref)]

    assert document["asyncapi"] == "3.0.0"
    assert references == []


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _references(value)]
    return [ref for value in node for ref in _references(value)] if isinstance(node, list) else []


def _resolves(document: Schema, ref: str) -> bool:
    node: Any = document
    for token in ref.removeprefix("#/").split("/"):
        if not isinstance(node, dict) or token not in node:
            return False
        node = node[token]
    return True
