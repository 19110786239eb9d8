"""What the issuer answers to sign-ups, log-ins and log-outs, and what that means to people."""

import httpx
import pytest
from pydantic import SecretStr

from petit.contracts.problems import Code, Refused, Unavailable
from petit.gateway.ports import Ending
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
    sso.answers["GET events"] = httpx.Response(
        200,
        json=[
            {"time": 30, "type": "LOGOUT", "userId": "ada", "sessionId": "s1"},
            {"time": 60, "type": "DELETE_ACCOUNT", "userId": "cat", "sessionId": "s2"},
        ],
    )
    sso.answers["GET admin-events"] = httpx.Response(
        200,
        json=[
            {"time": 10, "operationType": "DELETE", "resourcePath": "users/dan"},
            {"time": 20, "operationType": "UPDATE", "resourcePath": "users/ada"},
            {"time": 40, "operationType": "UPDATE", "resourcePath": "users/bob"},
            {"time": 50, "operationType": "ACTION", "resourcePath": "users/ada/logout"},
            {"time": 55, "operationType": "ACTION", "resourcePath": "users/ada/reset-password"},
            {"time": 70, "operationType": "UPDATE", "resourcePath": "users/gone-by-now"},
        ],
    )

    ended = await sso.accounts(clock).ended(5)

    assert [(one.at_ms, one.user, one.session) for one in ended.endings] == [
        (10, "dan", None),
        (30, "ada", "s1"),
        (40, "bob", None),
        (50, "ada", None),
        (60, "cat", None),
        (70, "gone-by-now", None),
    ]
    assert ended.until_ms == 70
    assert isinstance(ended.endings[0], Ending)


async def test_more_events_than_fit_are_asked_for_from_where_these_end(sso: FakeKeycloak, clock: MemoryClock) -> None:
    many = [{"time": 100 + number, "type": "LOGOUT", "userId": "ada", "sessionId": "s"} for number in range(500)]
    sso.answers["GET events"] = httpx.Response(200, json=many)
    sso.answers["GET admin-events"] = httpx.Response(
        200, json=[{"time": 9_000, "operationType": "DELETE", "resourcePath": "users/dan"}]
    )

    assert (await sso.accounts(clock).ended(5)).until_ms == 599


async def test_events_that_may_not_be_read_are_unavailable(sso: FakeKeycloak, clock: MemoryClock) -> None:
    sso.answers["GET admin-events"] = httpx.Response(403, json={"error": "HTTP 403 Forbidden"})

    with pytest.raises(Unavailable):
        await sso.accounts(clock).ended(5)
