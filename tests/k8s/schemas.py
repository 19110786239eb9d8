"""Writes anew the schemas by which kubeconform checks our manifests, from what a real API server says of itself.

`kubectl get --raw /openapi/v2 | python -m tests.k8s.schemas`: the kinds that we use, what they are made of, and no
word of description. kubeconform shall refuse what it does not know, so objects with named fields have no others.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).with_name("schemas")
DEFINITIONS: Final = "definitions.json"
KINDS: Final = frozenset(
    {
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PriorityClass",
        "Secret",
        "Service",
        "ServiceAccount",
        "StatefulSet",
    }
)
_GROUP: Final = "x-kubernetes-group-version-kind"
_REFERENCE: Final = "#/definitions/"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"

Schema = dict[str, Any]


def schemas(document: Schema) -> dict[str, Schema]:
    """Return the files to write, by name, from a Swagger document."""
    definitions: dict[str, Schema] = document["definitions"]
    files: dict[str, Schema] = {}
    wanted: list[str] = []
    for name, definition in definitions.items():
        for group in definition.get(_GROUP, []):
            if group["kind"] in KINDS and len(definition[_GROUP]) == 1:
                label = "-".join(
                    part for part in (group["kind"], group["group"].split(".")[0], group["version"]) if part
                )
                files[f"{label.lower()}.json"] = {"$ref": f"{DEFINITIONS}{_REFERENCE}{name}"}
                wanted.append(name)
    found: dict[str, Schema] = {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _strict(definitions[name])
            wanted += [reference.removeprefix(_REFERENCE) for reference in _references(found[name])]
    found[_QUANTITY] = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    return {**files, DEFINITIONS: {"definitions": dict(sorted(found.items()))}}


def _strict(schema: Schema) -> Schema:
    """Return what a value must be, without what is said about it."""
    kept = {
        key: {name: _strict(field) for name, field in value.items()} if key == "properties" else value
        for key, value in schema.items()
        if key in {"$ref", "type", "required", "properties", "items", "additionalProperties", "enum"}
    }
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = _strict(kept[key])
    if "properties" in kept:
        kept.setdefault("additionalProperties", False)
    if schema.get("format") == "int-or-string":
        return {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    return kept


def _references(schema: object) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [reference for value in schema.values() for reference in _references(value)]
    return []


def main() -> None:
    """Write them."""
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, schema in schemas(json.load(sys.stdin)).items():
        lines = [
            f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}"
            for key, value in schema.get("definitions", {}).items()
        ]
        text = '{"definitions":{\n' + ",\n".join(lines) + "\n}}" if lines else json.dumps(schema)
        (FOLDER / name).write_text(f"{text}\n")


if __name__ == "__main__":
    main()
