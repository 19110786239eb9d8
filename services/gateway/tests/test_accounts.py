"""What the issuer answers to sign-ups, log-ins and log-outs, and what that means to people."""

import httpx
import pytest
from pydantic import SecretStr

from petit.contracts.problems import Code, Refused, Unavailable
from petit.gateway.adapters.accounts import KeycloakAccounts
from petit.gateway.ports import Ended
from services.gateway.tests.keycloak import FakeKeycloak
from services.gateway.tests.memory import MemoryClock

PASSWORD = SecretStr("correct horse")
TOKENS = {
    "access_token": "a",
    "expires_in": 600,
    "refresh_token": "r",
    "refresh_expires_in": 1800,
    "token_type": "Bearer",
    "id_token": "i",
}


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def sso() -> FakeKeycloak:
    return FakeKeycloak("ada", "bob")


async def refusal(sso: FakeKeycloak, clock: MemoryClock, answer: httpx.Response) -> Refused:
    """Return what a sign-up is refused with when this is the issuer's answer."""
    sso.answers["POST users"] = answer
    with pytest.raises(Refused) as refused:
        await sso.accounts(clock).sign_up("zoe", password=PASSWORD, name=None)
    return refused.value


async def told(accounts: KeycloakAccounts, since_ms: int) -> list[Ended]:
    """Return all that has ended since then, in the parts in which it is told."""
    return [part async for part in accounts.ended(since_ms)]


async def test_somebody_signs_up(sso: FakeKeycloak, clock: MemoryClock) -> None:
    sso.answers["POST users"] = httpx.Response(
        201, headers={"Location": "https://sso.test/admin/realms/petit/users/z1"}
    )

    made = await sso.accounts(clock).sign_up("Zoe", password=PASSWORD, name="Zoe Z.")

    assert (made.id, made.username, made.name) == ("z1", "zoe", "Zoe Z.")
    assert b'"temporary": false' in sso.said[-1]
    assert b'"firstName": "Zoe Z."' in sso.said[-1]


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"error": "invalidPasswordMinLengthMessage", "error_description": "too short"}, "/password"),
        ({"errorMessage": "Password policy not met"}, "/password"),
        ({"field": "username", "errorMessage": "no"}, "/username"),
        ({"field": "firstName", "errorMessage": "no"}, "/name"),
    ],
)
async def test_what_the_issuer_does_not_accept_is_pointed_at(
    sso: FakeKeycloak, clock: MemoryClock, *, said: dict[str, str], at: str
) -> None:
    refused = await refusal(sso, clock, httpx.Response(400, json=said))

    assert refused.code is Code.REQUEST_INVALID
    assert refused.errors is not None
    assert [error.pointer for error in refused.errors] == [at]


async def test_a_name_that_is_taken(sso: FakeKeycloak, clock: MemoryClock) -> None:
    refused = await refusal(sso, clock, httpx.Response(409, json={"errorMessage": "User exists with same username"}))

    assert refused.code is Code.CONFLICT_STATE


@pytest.mark.parametrize("status", [401, 403, 500, 502])
async def test_an_issuer_that_is_out_of_order_is_no_refusal(sso: FakeKeycloak, clock: MemoryClock, status: int) -> None:
    refused = await refusal(sso, clock, httpx.Response(status))

    assert isinstance(refused, Unavailable)
    assert "correct horse" not in refused.detail


async def test_a_log_in_has_tokens(sso: FakeKeycloak, clock: MemoryClock) -> None:
    sso.answers["token password"] = sso.answers["token refresh_token"] = httpx.Response(200, json=TOKENS)
    accounts = sso.accounts(clock)

    for grant in (await accounts.log_in("ada", password=PASSWORD), await accounts.go_on(SecretStr("r"))):
        assert (grant.access_token, grant.expires_in, grant.refresh_token) == ("a", 600, "r")
    assert sso.tokens_made == 0


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (401, "invalid_grant", Code.CREDENTIALS_INVALID),
        (400, "invalid_grant", Code.CREDENTIALS_INVALID),
        (429, "temporarily_unavailable", Code.RATE_LIMITED),
        (401, "invalid_client", Code.UNAVAILABLE),
        (503, "temporarily_unavailable", Code.UNAVAILABLE),
        (500, "", Code.UNAVAILABLE),
    ],
)
async def test_a_log_in_that_is_refused(
    sso: FakeKeycloak, clock: MemoryClock, *, status: int, error: str, code: Code
) -> None:
    sso.answers["token password"] = sso.answers["token refresh_token"] = httpx.Response(status, json={"error": error})
    accounts = sso.accounts(clock)

    with pytest.raises(Refused) as by_password:
        await accounts.log_in("ada", password=PASSWORD)
    with pytest.raises(Refused) as by_token:
        await accounts.go_on(SecretStr("r"))

    assert (by_password.value.code, by_token.value.code) == (code, code)
    assert (by_password.value.retry_after is not None) == (code in {Code.RATE_LIMITED, Code.UNAVAILABLE})


@pytest.mark.parametrize("status", [204, 404])
async def test_a_log_out_ends_the_session_there_was(sso: FakeKeycloak, clock: MemoryClock, status: int) -> None:
    sso.answers["DELETE sessions/s1"] = httpx.Response(status)

    await sso.accounts(clock).log_out("s1")

    assert sso.asked[-1].endswith("/admin/realms/petit/sessions/s1")


async def test_a_log_out_that_the_issuer_does_not_do(sso: FakeKeycloak, clock: MemoryClock) -> None:
    sso.answers["DELETE sessions/s1"] = httpx.Response(403)

    with pytest.raises(Unavailable):
        await sso.accounts(clock).log_out("s1")


async def test_what_has_ended_is_told_in_order(sso: FakeKeycloak, clock: MemoryClock) -> None:
    sso.users[1]["enabled"] = False
    sso.events = [
        {"time": 4, "type": "LOGOUT", "userId": "ada", "sessionId": "of-before"},
        {"time": 30, "type": "LOGOUT", "userId": "ada", "sessionId": "s1"},
        {"time": 60, "type": "DELETE_ACCOUNT", "userId": "cat", "sessionId": "s2"},
    ]
    sso.admin_events = [
        {"time": 10, "operationType": "DELETE", "resourcePath": "users/dan"},
        {"time": 20, "operationType": "UPDATE", "resourcePath": "users/ada"},
        {"time": 40, "operationType": "UPDATE", "resourcePath": "users/bob"},
        {"time": 50, "operationType": "ACTION", "resourcePath": "users/ada/logout"},
        {"time": 55, "operationType": "ACTION", "resourcePath": "users/ada/reset-password"},
        {"time": 70, "operationType": "UPDATE", "resourcePath": "users/gone-by-now"},
    ]

    parts = await told(sso.accounts(clock), 5)

    assert [[(one.at_ms, one.user, one.session) for one in part.endings] for part in parts] == [
        [(30, "ada", "s1"), (60, "cat", None)],
        [(10, "dan", None), (40, "bob", None), (50, "ada", None), (70, "gone-by-now", None)],
    ]
    assert [part.until_ms for part in parts] == [60, 70]


async def test_where_nothing_has_ended_nothing_is_told(sso: FakeKeycloak, clock: MemoryClock) -> None:
    assert await told(sso.accounts(clock), 5) == []


@pytest.mark.parametrize("number", [1_200, 500, 1_000, 501])
async def test_any_number_of_events_in_a_moment_is_told_whole(
    sso: FakeKeycloak, clock: MemoryClock, number: int
) -> None:
    sso.events = [{"time": 9, "type": "LOGOUT", "userId": "ada", "sessionId": f"s{each}"} for each in range(number)]
    sso.admin_events = [
        {"time": 9, "operationType": "DELETE", "resourcePath": f"users/u{each}"} for each in range(number)
    ]

    endings = [ending for part in await told(sso.accounts(clock), 5) for ending in part.endings]

    assert [ending.session for ending in endings[:number]] == [f"s{each}" for each in range(number)]
    assert [ending.user for ending in endings[number:]] == [f"u{each}" for each in range(number)]


async def test_who_was_updated_and_let_in_still_is_looked_up_some_times_and_not_for_ever(
    sso: FakeKeycloak, clock: MemoryClock
) -> None:
    sso.admin_events = [
        {"time": 9, "operationType": "UPDATE", "resourcePath": f"users/{name}"} for name in ("ada", "bob")
    ]
    accounts = sso.accounts(clock)

    for _ in range(9):
        await told(accounts, 5)
    looked_up = [url for url in sso.asked if "/users/" in url]
    sso.users[0]["enabled"] = False
    sso.admin_events.append({"time": 10, "operationType": "UPDATE", "resourcePath": "users/ada"})
    (later,) = await told(accounts, 5)

    assert len(looked_up) == 6
    assert [(one.user, one.at_ms) for one in later.endings] == [("ada", 10)]


async def test_events_that_may_not_be_read_are_unavailable(sso: FakeKeycloak, clock: MemoryClock) -> None:
    sso.answers["GET admin-events"] = httpx.Response(403, json={"error": "HTTP 403 Forbidden"})

    with pytest.raises(Unavailable):
        await told(sso.accounts(clock), 5)
