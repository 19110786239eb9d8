"""Signals are for ever: what may not change between two versions of a JSON Schema.

A reader of any age must read what a writer of any age wrote. So a type, a field or an accepted value may
be added, and nothing may be taken away, narrowed, retyped or newly demanded (STYLE 25).
"""

from collections.abc import Iterator
from typing import Any


def breaking(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return a sentence for each way in which `new` breaks readers or histories of `old`; empty if none.

    Both are the answer of `schemas.signals_schema`, at two times.
    """
    found: list[str] = []
    for name, ref in old["types"].items():
        if name not in new["types"]:
            found.append(f"type {name} is gone")
            continue
        found += _object(name, _resolve(old, ref), _resolve(new, new["types"][name]), roots=(old, new))
    return found


def _object(
    path: str, old: dict[str, Any], new: dict[str, Any], *, roots: tuple[dict[str, Any], dict[str, Any]]
) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, was in before.items():
        if name not in after:
            yield f"{path}.{name} is gone"
            continue
        yield from _value(f"{path}.{name}", was, after[name], roots=roots)
    for name in set(new.get("required", ())) - set(old.get("required", ())):
        if "default" not in after.get(name, {}):
            yield f"{path}.{name} is newly required"


def _value(
    path: str, old: dict[str, Any], new: dict[str, Any], *, roots: tuple[dict[str, Any], dict[str, Any]]
) -> Iterator[str]:
    if "$ref" in old:
        old = _resolve(roots[0], old["$ref"])
    if "$ref" in new:
        new = _resolve(roots[1], new["$ref"])
    lost = _kinds(old, roots[0]) - _kinds(new, roots[1])
    if lost:
        yield f"{path} no longer takes {', '.join(sorted(lost))}"
    if "properties" in old:
        yield from _object(path, old, new, roots=roots)
    if "items" in old and "items" in new:
        yield from _value(f"{path}[]", old["items"], new["items"], roots=roots)
    for bound, worse in (("maxLength", min), ("maximum", min), ("minLength", max), ("minimum", max)):
        if bound in new and (bound not in old or worse(old[bound], new[bound]) != old[bound]):
            yield f"{path} has a narrower {bound}"
    if new.get("pattern") not in {None, old.get("pattern")}:
        yield f"{path} has another pattern"


def _kinds(schema: dict[str, Any], root: dict[str, Any]) -> set[str]:
    """Return the types and literal values that a schema takes, spelled as words."""
    if "$ref" in schema:
        return _kinds(_resolve(root, schema["$ref"]), root)
    if "anyOf" in schema:
        return set().union(*(_kinds(one, root) for one in schema["anyOf"]))
    if "const" in schema:
        return {repr(schema["const"])}
    if "enum" in schema:
        return {repr(value) for value in schema["enum"]}
    return {str(schema["type"])} if "type" in schema else set()


def _resolve(root: dict[str, Any], ref: str) -> dict[str, Any]:
    node: dict[str, Any] = root
    for token in ref.removeprefix("#/").split("/"):
        node = node[token]
    return node
