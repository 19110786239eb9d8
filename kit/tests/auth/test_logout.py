"""What says that a log-in is over, and what only looks like it (OpenID Connect Back-Channel Logout 1.0, 2.6)."""

from typing import Any

import pytest

from kit.tests.auth.minting import ISSUER, START, Clock, MemoryIssuer
from petit.contracts.problems import Code, Refused, Unavailable
from petit.kit.auth import LogoutToken, Verifier

EVENT = "http://schemas.openid.net/event/backchannel-logout"
HEADER = {"typ": "logout+jwt"}


def logout(issuer: MemoryIssuer, *, header: dict[str, Any] | None = None, **changes: Any) -> bytes:  # noqa: ANN401 - JSON
    """Mint what Keycloak 26 sends, changed in some claims."""
    said: dict[str, Any] = {
        "aud": "petit-web",
        "azp": None,
        "realm_access": None,
        "typ": "Logout",
        "exp": START + 120,
        "events": {EVENT: {}, "revoke_offline_access": True},
    }
    return issuer.mint(header=HEADER if header is None else header, **said | changes)


async def refusal(verifier: Verifier, token: bytes) -> Code:
    with pytest.raises(Refused) as refused:
        await verifier.verify_logout(token)
    return refused.value.code


async def test_a_logout_token_says_whose_log_in_is_over(verifier: Verifier, issuer: MemoryIssuer) -> None:
    said = await verifier.verify_logout(logout(issuer))

    assert said == LogoutToken(user=said.user, session="session-1", issued_at=START)
    assert said.user == "ada-id"


async def test_without_a_session_it_is_about_all_of_them(verifier: Verifier, issuer: MemoryIssuer) -> None:
    assert (await verifier.verify_logout(logout(issuer, sid=None))).session is None


async def test_its_header_may_call_it_a_jwt(verifier: Verifier, issuer: MemoryIssuer) -> None:
    assert (await verifier.verify_logout(logout(issuer, header={"typ": "JWT"}))).user == "ada-id"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.test/realms/petit"},
        {"aud": "another-app"},
        {"aud": ["another-app", "petit-api"]},
        {"events": None},
        {"events": {}},
        {"events": {EVENT: None}},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"nonce": "n-1"},
        {"sub": None},
        {"sub": "not a user"},
        {"sid": ""},
        {"jti": None},
        {"iat": None},
        {"iat": START + 21, "exp": START + 120},
        {"exp": None},
        {"exp": START + 301},
    ],
    ids=repr,
)
async def test_what_is_no_logout_token_is_invalid(
    verifier: Verifier, issuer: MemoryIssuer, changes: dict[str, Any]
) -> None:
    assert await refusal(verifier, logout(issuer, **changes)) is Code.TOKEN_INVALID


async def test_an_old_one_has_expired(verifier: Verifier, issuer: MemoryIssuer, clock: Clock) -> None:
    token = logout(issuer)
    clock.time += 140

    assert await refusal(verifier, token) is Code.TOKEN_EXPIRED


@pytest.mark.parametrize("token", [b"", b"garbage", b"e30.e30.e30"])
async def test_garbage_is_invalid(verifier: Verifier, token: bytes) -> None:
    assert await refusal(verifier, token) is Code.TOKEN_INVALID


async def test_one_that_another_key_has_signed_is_invalid(verifier: Verifier, issuer: MemoryIssuer) -> None:
    forger = MemoryIssuer(issuer.clock)

    assert await refusal(verifier, logout(forger)) is Code.TOKEN_INVALID


async def test_an_access_token_ends_no_log_in_and_a_logout_token_opens_nothing(
    verifier: Verifier, issuer: MemoryIssuer
) -> None:
    assert await refusal(verifier, issuer.mint()) is Code.TOKEN_INVALID
    with pytest.raises(Refused) as refused:
        await verifier.verify(logout(issuer, azp="petit-web", aud=["petit-web", "petit-api"]))
    assert refused.value.code is Code.TOKEN_INVALID
    assert ISSUER in issuer.claims()["iss"]


async def test_without_the_issuers_keys_nobody_can_tell(verifier: Verifier, issuer: MemoryIssuer) -> None:
    issuer.down = True

    with pytest.raises(Unavailable):
        await verifier.verify_logout(logout(issuer))
