"""R01 as far as the development issuer goes: which tokens are good, on REST and on streams; keys that rotate."""

import asyncio
import base64
import json
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.people import People, log_in, plain_http
from tests.e2e.stack import Stack
from tests.e2e.wire import knock

_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def _verdicts(stack: Stack, token: str) -> set[tuple[int, str]]:
    """Return what REST, SSE and WebSocket say to a token: status and code."""
    said = set()
    async with plain_http(stack) as http:
        answer = await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
        said.add((answer.status_code, answer.json().get("code", "")))
        if answer.status_code == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    said.add(await knock("sse", stack.url, token=token))
    said.add(await knock("ws", stack.url, token=token))
    return said


async def _public_keys(stack: Stack) -> list[dict[str, Any]]:
    async with plain_http(stack) as http:
        keys: list[dict[str, Any]] = (await http.get("/realms/petit/protocol/openid-connect/certs")).json()["keys"]
        return keys


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def _unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(claims)}.{signature}"


async def test_a_token_of_the_issuer_is_good_everywhere(stack: Stack, people: People) -> None:
    """R01: 200 on REST, a stream over SSE and WebSocket."""
    ada = await people.one()

    assert await _verdicts(stack, await ada.token()) == {(200, "")}


async def test_a_forged_token_is_good_nowhere(stack: Stack, people: People) -> None:
    """R01: `alg: none`, HS256 with the public key, a key that is not the issuer's, `jku`, changed claims."""
    token = await (await people.one()).token()
    header, claims = _parts(token)
    (public, *_) = [key for key in await _public_keys(stack) if key["kid"] == header["kid"]]
    pem = jwt.PyJWK(public).key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    own_pem = _KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signature = token.rsplit(".", 1)[1]
    hs256 = jwt.encode(claims, base64.b64encode(pem), algorithm="HS256", headers={"kid": header["kid"]})

    forged = {
        "no algorithm": _unsigned({**header, "alg": "none"}, claims),
        "no algorithm, with a signature": _unsigned({**header, "alg": "None"}, claims, signature),
        "the public key as a secret": hs256,
        "another key under our kid": jwt.encode(claims, own_pem, algorithm="RS256", headers={"kid": header["kid"]}),
        "a key that nobody knows": jwt.encode(claims, own_pem, algorithm="RS256", headers={"kid": "nobody's"}),
        "a key of their own": jwt.encode(
            claims, own_pem, algorithm="RS256", headers={"kid": "x", "jku": "http://127.0.0.1:1/keys"}
        ),
        "changed claims": _unsigned(header, {**claims, "sub": "someone-else"}, signature),
        "half a token": token[: len(token) // 2],
        "words": "not.a.token",
    }

    for what, forgery in forged.items():
        assert await _verdicts(stack, forgery) == {(401, "token.invalid")}, what
    assert await _verdicts(stack, token) == {(200, "")}


async def test_an_id_token_and_a_refresh_token_are_no_access_tokens(stack: Stack, people: People) -> None:
    """R01: signed by the right key, for another purpose."""
    ada = await people.one()
    grant = await log_in(stack, ada.username)

    assert await _verdicts(stack, grant["access_token"]) == {(200, "")}
    for kind in ("id_token", "refresh_token"):
        assert await _verdicts(stack, grant[kind]) == {(401, "token.invalid")}, kind


async def test_a_service_is_no_person(stack: Stack) -> None:
    """R01: a token of a client that is not on the list (`azp`) is refused."""
    secret = stack.service_secret
    form = {"grant_type": "client_credentials", "client_id": "petit-gateway", "client_secret": secret}
    async with plain_http(stack) as http:
        answer = await http.post("/realms/petit/protocol/openid-connect/token", data=form)

    assert await _verdicts(stack, answer.json()["access_token"]) == {(401, "token.invalid")}


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YWRhOmFkYQ==", "bearer"])
async def test_without_a_token_nothing_answers(stack: Stack, header: str) -> None:
    """API section 1: 401 with `WWW-Authenticate`."""
    async with plain_http(stack) as http:
        answer = await http.get("/v1/me", headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.json()["code"] in {"token.missing", "token.invalid"}
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_keys_rotate_without_a_restart(stack3: Stack, people3: People) -> None:
    """R01: after a rotation new tokens, signed by a new key, are good on all edges at once, and old ones still are."""
    ada = await people3.one()
    old = await ada.token()
    before = stack3.pids()

    await asyncio.to_thread(stack3.rotate_keys)
    new = (await log_in(stack3, ada.username))["access_token"]

    assert _parts(new)[0]["kid"] != _parts(old)[0]["kid"]
    for _ in range(6):
        assert await _verdicts(stack3, new) == {(200, "")}
        assert await _verdicts(stack3, old) == {(200, "")}
    assert stack3.pids() == before
