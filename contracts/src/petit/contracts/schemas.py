"""The contracts as files that other languages read: JSON Schema of the signals, AsyncAPI 3 of the stream.

Both are made from the models, so that they cannot differ from what the services do; the files in
`contracts/schemas/` are exports of this, kept fresh by CI.
"""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from petit.contracts.resources import Bye, Expiring, Gap, Heartbeat, Hello, SignalFrame
from petit.contracts.signals import MODELS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_FRAMES: Final[dict[str, type[BaseModel]]] = {
    "hello": Hello,
    "signal": SignalFrame,
    "gap": Gap,
    "heartbeat": Heartbeat,
    "expiring": Expiring,
    "bye": Bye,
}
_STREAM_QUERY: Final = {
    "type": "object",
    "properties": {
        "cursor": {"type": "string", "description": "Resume after this cursor; without one the stream starts now."},
        "payload": {"enum": ["full", "thin"], "default": "full"},
        "ticket": {"type": "string", "description": "From POST /v1/tickets; single use, at most 30 s old."},
    },
}
_EPHEMERAL: Final = {
    "type": "object",
    "description": "Best effort, no offset of its own.",
    "required": ["type", "by", "expires_in"],
    "properties": {
        "type": {"type": "string"},
        "chat": {"type": "string"},
        "person": {"type": "string"},
        "by": {"type": "string"},
        "seq": {"type": "integer"},
        "expires_in": {"type": "integer", "description": "Seconds."},
    },
}
_DO: Final = {
    "type": "object",
    "required": ["do"],
    "properties": {
        "do": {"enum": ["send", "view", "delivered", "auth"]},
        "ref": {"type": "string", "description": "Echoed in the reply."},
        "chat": {"type": "string"},
        "token": {"type": "string", "description": "For auth: the new access token."},
    },
    "description": "send, view and delivered take the fields of the REST body beside these.",
}
_REPLY: Final = {
    "type": "object",
    "required": ["ref", "status", "body"],
    "properties": {
        "ref": {"type": ["string", "null"]},
        "status": {"type": "integer", "description": "What REST would have answered."},
        "body": {"type": ["object", "null"]},
    },
}


def signals_schema() -> dict[str, Any]:
    """Return the JSON Schema of every signal type, each under `$defs` by its model's name, and `types` by type."""
    places, schema = models_json_schema(
        [(model, "serialization") for model in MODELS.values()],
        title="Petit Chat signals",
        description="What the log holds. Readers ignore unknown fields and types.",
    )
    names = {name: places[model, "serialization"]["$ref"] for name, model in MODELS.items()}
    return {
        "$schema": DIALECT,
        **schema,
        "types": names,
        "oneOf": [{"$ref": ref} for ref in names.values()],
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3 description of the stream: the frames on SSE and WebSocket, and what a WebSocket takes."""
    places, frames = models_json_schema(
        [(model, "serialization") for model in (*_FRAMES.values(), *MODELS.values())],
        ref_template="#/components/schemas/{model}",
    )
    payloads: dict[str, Any] = {name: places[model, "serialization"] for name, model in _FRAMES.items()}
    schemas = frames["$defs"] | {"Ephemeral": _EPHEMERAL, "Do": _DO, "Reply": _REPLY, "StreamQuery": _STREAM_QUERY}
    payloads |= {
        "ephemeral": {"$ref": "#/components/schemas/Ephemeral"},
        "reply": {"$ref": "#/components/schemas/Reply"},
        "do": {"$ref": "#/components/schemas/Do"},
    }
    messages = {
        name: {"name": name, "contentType": "application/json", "payload": payload}
        for name, payload in payloads.items()
    }
    down = [name for name in messages if name not in {"do", "reply"}]
    binding = {"bindingVersion": "0.1.0", "query": {"$ref": "#/components/schemas/StreamQuery"}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Petit Chat stream",
            "version": "1",
            "description": "One stream a device over all of a person's chats. The log's signals are `signal` frames; "
            "their `data` by type is the data of the schemas named after the types.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "sse": _channel("/v1/stream", messages=down),
            "websocket": _channel("/v1/ws", messages=list(messages)) | {"bindings": {"ws": binding}},
        },
        "operations": {
            "receiveBySse": _operation("send", channel="sse", messages=down),
            "receiveByWebSocket": _operation("send", channel="websocket", messages=[*down, "reply"]),
            "write": _operation("receive", channel="websocket", messages=["do"]),
        },
        "components": {"schemas": schemas, "messages": messages},
    }


def _channel(address: str, *, messages: list[str]) -> dict[str, Any]:
    return {
        "address": address,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operation(action: str, *, channel: str, messages: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }
