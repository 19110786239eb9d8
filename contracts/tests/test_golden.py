"""Every reader decodes every version of every type that was ever written (R05)."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from petit.contracts import signals
from petit.contracts.schemas import signals_schema
from petit.contracts.signals import MODELS, UnknownSignal, decode, encode

GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("*.json"))


def payload(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_bytes())
    return loaded


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_signal_survives_reading_and_writing(path: Path) -> None:
    signal = decode(path.read_bytes())

    assert json.loads(encode(signal)) == payload(path)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_signal_is_read_past_fields_of_the_future(path: Path) -> None:
    future = payload(path)
    future["mood"] = "sunny"
    if not path.stem.startswith("unknown"):
        future["data"]["weight"] = 3

    assert decode(json.dumps(future)) == decode(path.read_bytes())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_signal_fits_the_published_schema(path: Path) -> None:
    signal, schema = payload(path), signals_schema()
    if signal["type"] not in MODELS:
        assert isinstance(decode(path.read_bytes()), UnknownSignal)
        return

    jsonschema.validate(signal, {"$defs": schema["$defs"], "$ref": schema["types"][signal["type"]]})


def test_every_published_type_has_a_golden_signal() -> None:
    assert set(MODELS) <= {payload(path)["type"] for path in GOLDEN}


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"3", b"\xff", b'{"type":"msg"}', b'{"v":2,"type":"msg"}'])
def test_what_no_version_wrote_is_undecodable(junk: bytes) -> None:
    with pytest.raises(signals.UndecodableError):
        decode(junk)


def test_the_digest_tells_content_and_ignores_when_and_nonce() -> None:
    path = GOLDEN[[path.stem for path in GOLDEN].index("msg.v1")]
    original = payload(path)
    again = original | {"at": "2026-11-21T00:00:00.000Z", "nonce": "other"}
    other = original | {"data": original["data"] | {"text": "something else"}}
    elsewhere = original | {"chat": "019353a0-0000-7000-8000-0000000000c2"}

    digest = signals.digest(decode(json.dumps(original)))

    assert signals.digest(decode(json.dumps(again))) == digest
    assert signals.digest(decode(json.dumps(other))) != digest
    assert signals.digest(decode(json.dumps(elsewhere))) != digest
