"""Which tokens are let in, and as whom."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from kit.tests.auth.minting import ISSUER, START, Clock, MemoryIssuer, accepted
from petit.contracts.problems import Code, Refused
from petit.kit.auth import Principal, Verifier


async def refusal(verifier: Verifier, token: bytes | str) -> Code:
    with pytest.raises(Refused) as refused:
        await verifier.verify(token)
    assert refused.value.status == 401
    return refused.value.code


def segment(value: object) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=")


async def test_an_access_token_says_who_asks(verifier: Verifier, issuer: MemoryIssuer) -> None:
    principal = await verifier.verify(issuer.mint(realm_access={"roles": ["USER", "ADMIN"]}))

    assert principal == Principal(
        user=principal.user,
        username="ada",
        name="Ada",
        roles=frozenset({"USER", "ADMIN"}),
        session="session-1",
        client="petit-web",
        issued_at=START,
        expires_at=START + 600,
    )
    assert principal.user == "ada-id"


async def test_an_es256_token_is_as_good(issuer: MemoryIssuer) -> None:
    issuer.add_ec("elliptic")

    principal = await issuer.verifier().verify(issuer.mint(kid="elliptic").decode())

    assert principal.user == "ada-id"


async def test_an_audience_may_be_one_text_or_one_of_many(verifier: Verifier, issuer: MemoryIssuer) -> None:
    assert await accepted(verifier, issuer.mint(aud="petit-api"))
    assert await accepted(verifier, issuer.mint(aud=["account", "petit-api"]))


async def test_names_that_the_issuer_leaves_out_are_replaced(verifier: Verifier, issuer: MemoryIssuer) -> None:
    bare = issuer.mint(name=None, preferred_username=None, sid=None, realm_access=None)

    principal = await verifier.verify(bare)

    assert (principal.name, principal.username, principal.session) == ("ada-id", "ada-id", "")
    assert principal.roles == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.test/realms/petit"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": ["account"]},
        {"aud": "petit-api-2"},
        {"aud": []},
        {"aud": None},
        {"azp": "another-app"},
        {"azp": None},
        {"nbf": START + 21},
        {"iat": START + 21},
        {"iat": None},
        {"exp": None},
        {"exp": "1800000000"},
        {"exp": True},
        {"sub": None},
        {"sub": ""},
        {"sub": "ada id"},
        {"sub": "ada\n"},
        {"sub": "a" * 65},
        {"sub": 7},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "Logout"},
        {"typ": None},
        {"cnf": {"jkt": "thumbprint"}},
        {"realm_access": {"roles": "ADMIN"}},
    ],
    ids=str,
)
async def test_a_token_that_is_not_for_us_is_invalid(
    verifier: Verifier, issuer: MemoryIssuer, changes: dict[str, Any]
) -> None:
    assert await refusal(verifier, issuer.mint(**changes)) is Code.TOKEN_INVALID


async def test_a_token_is_expired_after_the_leeway_and_not_before(verifier: Verifier, issuer: MemoryIssuer) -> None:
    early, late = issuer.mint(exp=START - 19), issuer.mint(exp=START - 20)

    assert await accepted(verifier, early)
    assert await refusal(verifier, late) is Code.TOKEN_EXPIRED


async def test_a_token_of_a_clock_within_the_leeway_is_valid(verifier: Verifier, issuer: MemoryIssuer) -> None:
    assert await accepted(verifier, issuer.mint(iat=START + 19, nbf=START + 20))


async def test_what_is_expired_and_foreign_is_invalid(verifier: Verifier, issuer: MemoryIssuer) -> None:
    assert await refusal(verifier, issuer.mint(exp=START - 600, aud="account")) is Code.TOKEN_INVALID


async def test_a_token_without_signature_is_invalid(verifier: Verifier, issuer: MemoryIssuer) -> None:
    for name in ("none", "None", "NONE"):
        head = segment({"alg": name, "typ": "JWT", "kid": "first"})
        token = head + b"." + segment(issuer.claims()) + b"."
        assert await refusal(verifier, token) is Code.TOKEN_INVALID


async def test_hs256_signed_with_the_public_key_is_invalid(verifier: Verifier, issuer: MemoryIssuer) -> None:
    public = issuer.signing["first"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = segment({"alg": "HS256", "typ": "JWT", "kid": "first"}) + b"." + segment(issuer.claims())
    token = signed + b"." + segment(hmac.digest(pem, signed, hashlib.sha256))

    assert await refusal(verifier, token) is Code.TOKEN_INVALID


async def test_a_key_signs_with_its_own_algorithm_only(issuer: MemoryIssuer) -> None:
    issuer.add_ec("elliptic")
    crossed = issuer.mint(kid="elliptic", header={"kid": "first"})

    assert await refusal(issuer.verifier(), crossed) is Code.TOKEN_INVALID


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
async def test_other_algorithms_of_the_same_key_are_invalid(
    verifier: Verifier, issuer: MemoryIssuer, algorithm: str
) -> None:
    key = issuer.signing["first"]
    token = jwt.encode(issuer.claims(), key, algorithm=algorithm, headers={"kid": "first"})

    assert await refusal(verifier, token) is Code.TOKEN_INVALID


async def test_a_changed_claim_breaks_the_signature(verifier: Verifier, issuer: MemoryIssuer) -> None:
    head, _, signature = issuer.mint().split(b".")
    forged = b".".join((head, segment(issuer.claims(sub="root-id")), signature))

    assert await refusal(verifier, forged) is Code.TOKEN_INVALID


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.test/keys"},
        {"x5u": "https://evil.test/cert"},
        {"jwk": {"kty": "RSA"}},
        {"x5c": ["MII"]},
        {"crit": ["b64"], "b64": True},
        {"crit": ["other"]},
        {"typ": "logout+jwt"},
        {"kid": ""},
    ],
    ids=str,
)
async def test_a_header_that_brings_its_own_rules_is_invalid(
    verifier: Verifier, issuer: MemoryIssuer, header: dict[str, Any]
) -> None:
    assert await refusal(verifier, issuer.mint(header=header)) is Code.TOKEN_INVALID
    assert all(url.startswith(ISSUER) for url in issuer.asked)


async def test_a_token_without_key_id_is_invalid_and_asks_nobody(verifier: Verifier, issuer: MemoryIssuer) -> None:
    for header in ({"alg": "RS256"}, {"alg": "RS256", "kid": 7}, {"alg": "RS256", "kid": None}):
        token = segment(header) + b"." + segment(issuer.claims()) + b"." + segment(b"signature")
        assert await refusal(verifier, token) is Code.TOKEN_INVALID

    assert issuer.asked == []


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b".",
        b"..",
        b"....",
        b"garbage",
        b"\xff\xfe\x00",
        "ü.ü.ü",
        "\ud800",
        segment([]) + b".e30.e30",
        segment(b"[" * 9_000) + b".e30.e30",
        segment(b"{" * 9_000) + b".e30.e30",
        b"a" * 16_385,
        b"a" * 10_000_000,
        b"." * 16_000,
    ],
    ids=lambda token: repr(token[:12]) + str(len(token)),
)
async def test_garbage_is_invalid_and_asks_nobody(verifier: Verifier, issuer: MemoryIssuer, token: bytes | str) -> None:
    assert await refusal(verifier, token) is Code.TOKEN_INVALID
    assert issuer.asked == []


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b"\xff", b"[" * 9_000, b'{"exp":NaN}', b'{"exp":1e999}'], ids=repr
)
async def test_a_signed_payload_that_is_no_claims_is_invalid(
    verifier: Verifier, issuer: MemoryIssuer, payload: bytes
) -> None:
    key = issuer.signing["first"]
    token = jwt.PyJWS().encode(payload, key, algorithm="RS256", headers={"kid": "first"})

    assert await refusal(verifier, token) is Code.TOKEN_INVALID


@given(data=st.data())
async def test_no_change_of_one_byte_is_let_in(data: st.DataObject) -> None:
    issuer = MemoryIssuer(Clock())
    issuer.add_ec("elliptic")
    token = bytearray(issuer.mint(kid="elliptic"))
    place = data.draw(st.integers(0, len(token) - 2))
    token[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != token[place]))

    assert await refusal(issuer.verifier(), bytes(token)) is Code.TOKEN_INVALID
