"""The token endpoint: what gives tokens, what they say, and what is refused."""

import base64
import logging
from pathlib import Path
from typing import Any

import jwt
import pytest

from cli.tests.issuer.asking import ISSUER, OIDC, Asking, Clock, asking
from petit.cli.issuer import Settings, user_id
from petit.contracts.problems import Code, Refused


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


async def test_a_password_gives_a_token_that_the_api_accepts(ask: Asking, clock: Clock) -> None:
    tokens = await ask.log_in("ada")

    principal = await ask.who(tokens)

    assert principal.user == user_id("ada")
    assert (principal.username, principal.name, principal.roles) == ("ada", "Ada", frozenset({"USER"}))
    assert principal.session == tokens["session_state"]
    assert principal.expires_at == clock.time + 600


@pytest.mark.parametrize("name", ["ada", "bob", "cat", "dan", "eve"])
async def test_everyone_has_their_name_as_password(ask: Asking, name: str) -> None:
    principal = await ask.who(await ask.log_in(name))

    assert (principal.username, principal.roles) == (name, frozenset({"USER"}))


async def test_root_is_admin(ask: Asking) -> None:
    assert (await ask.who(await ask.log_in("root"))).roles == {"USER", "ADMIN"}


async def test_an_access_token_is_shaped_as_keycloaks(ask: Asking, clock: Clock) -> None:
    tokens = await ask.log_in("ada")

    header = jwt.get_unverified_header(tokens["access_token"])
    payload = claims(tokens["access_token"])

    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    assert payload.pop("jti") != claims((await ask.log_in("ada"))["access_token"])["jti"]
    assert payload == {
        "iss": ISSUER,
        "aud": ["petit-api"],
        "azp": "petit-web",
        "sub": user_id("ada"),
        "sid": tokens["session_state"],
        "typ": "Bearer",
        "acr": "1",
        "iat": int(clock.time),
        "exp": int(clock.time) + 600,
        "scope": "openid profile email",
        "realm_access": {"roles": ["USER"]},
        "preferred_username": "ada",
        "name": "Ada",
        "given_name": "Ada",
        "email_verified": False,
    }


async def test_the_answer_says_how_long_tokens_last_and_is_not_stored(ask: Asking) -> None:
    answer = await ask.token(grant_type="password", username="ada", password="ada")

    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600)
    assert tokens["refresh_expires_in"] == Settings().session_s
    assert "id_token" not in tokens
    assert tokens["scope"] == "profile email"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", ["id_token", "refresh_token"])
async def test_other_tokens_are_no_access_tokens(ask: Asking, kind: str) -> None:
    tokens = await ask.log_in("ada")

    with pytest.raises(Refused) as refused:
        await ask.verifier.verify(tokens[kind])

    assert refused.value.code is Code.TOKEN_INVALID


async def test_a_username_is_the_same_in_any_case(ask: Asking) -> None:
    answer = await ask.token(grant_type="password", username=" ADA ", password="ada")

    assert (await ask.who(answer.json())).user == user_id("Ada")


@pytest.mark.parametrize(("username", "password"), [("ada", "Ada"), ("ada", "bob"), ("nobody", "nobody"), ("ada", "ü")])
async def test_a_wrong_password_and_an_unknown_person_are_told_the_same(
    ask: Asking, username: str, password: str
) -> None:
    answer = await ask.token(grant_type="password", username=username, password=password)

    assert answer.status_code == 401
    assert answer.json() == {"error": "invalid_grant", "error_description": "Invalid user credentials"}


async def test_a_refresh_token_gives_new_tokens_of_the_same_session(ask: Asking, clock: Clock) -> None:
    first = await ask.log_in("ada")
    clock.time += 3_600

    answer = await ask.refresh(first["refresh_token"])

    second = answer.json()
    assert answer.status_code == 200
    assert second["access_token"] != first["access_token"]
    assert (await ask.who(second)).session == first["session_state"]
    assert "id_token" in second
    assert (await ask.refresh(first["refresh_token"])).status_code == 200


async def test_a_session_ends_when_it_was_not_refreshed_in_time(ask: Asking, clock: Clock) -> None:
    first = await ask.log_in("ada")
    clock.time += Settings().session_s - 1
    second = (await ask.refresh(first["refresh_token"])).json()

    clock.time += 2

    assert (await ask.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await ask.refresh(second["refresh_token"])).status_code == 200


@pytest.mark.parametrize("kind", ["access_token", "id_token"])
async def test_only_refresh_tokens_refresh(ask: Asking, kind: str) -> None:
    tokens = await ask.log_in("ada")

    answer = await ask.refresh(tokens[kind])

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("token", ["", "garbage", "a.b.c", "é.é.é"])
async def test_garbage_does_not_refresh(ask: Asking, token: str) -> None:
    answer = await ask.refresh(token)

    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_grant", "invalid_request"}


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ({}, (400, "invalid_request")),
        ({"grant_type": "magic"}, (400, "unsupported_grant_type")),
        ({"grant_type": "password"}, (400, "invalid_request")),
        ({"grant_type": "password", "username": "ada"}, (400, "invalid_request")),
        ({"grant_type": "client_credentials"}, (400, "unauthorized_client")),
        ({"grant_type": "password", "client_id": "unknown"}, (401, "invalid_client")),
        ({"grant_type": "password", "client_id": ""}, (401, "invalid_client")),
        ({"grant_type": "password", "client_secret": "surplus"}, (401, "invalid_client")),
        ({"grant_type": "client_credentials", "client_id": "petit-gateway"}, (401, "invalid_client")),
        (
            {"grant_type": "client_credentials", "client_id": "petit-gateway", "client_secret": "é"},
            (401, "invalid_client"),
        ),
        ({"grant_type": "authorization_code", "code": "x", "redirect_uri": "y"}, (400, "invalid_request")),
        ({"grant_type": "refresh_token"}, (400, "invalid_request")),
    ],
    ids=str,
)
async def test_refusals_have_oauths_codes(ask: Asking, form: dict[str, str], refusal: tuple[int, str]) -> None:
    answer = await ask.token(**form)

    assert (answer.status_code, answer.json()["error"]) == refusal


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"grant_type=password&grant_type=password", 400),
        (b"grant_type=%ff%fe", 400),
        (b"grant_type=\xff", 400),
        (b"&".join(b"a%d=1" % n for n in range(60)), 400),
        (b"a" * 65_537, 413),
    ],
    ids=["twice", "percent-encoded bytes", "bytes", "many", "huge"],
)
async def test_a_body_that_is_no_form_is_refused(ask: Asking, body: bytes, status: int) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await ask.http.post(f"{OIDC}/token", content=body, headers=kind)

    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


async def test_json_is_no_form(ask: Asking) -> None:
    answer = await ask.http.post(f"{OIDC}/token", json={"grant_type": "password"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_the_gateway_gets_a_token_that_is_no_persons(ask: Asking, gateway_secret: str) -> None:
    basic = base64.b64encode(f"petit-gateway:{gateway_secret}".encode()).decode()
    answer = await ask.http.post(
        f"{OIDC}/token", data={"grant_type": "client_credentials"}, headers={"authorization": f"Basic {basic}"}
    )

    tokens = answer.json()
    assert answer.status_code == 200
    assert "refresh_token" not in tokens
    with pytest.raises(Refused):
        await ask.verifier.verify(tokens["access_token"])


@pytest.mark.parametrize("header", ["Basic !!!", "Basic cGV0aXQtZ2F0ZXdheTp3cm9uZw==", "Basic /w=="])
async def test_a_wrong_basic_header_is_challenged(ask: Asking, header: str) -> None:
    answer = await ask.http.post(
        f"{OIDC}/token", data={"grant_type": "client_credentials"}, headers={"authorization": header}
    )

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"] == 'Basic realm="petit"'


async def test_log_ins_are_limited_over_all_processes(tmp_path: Path, clock: Clock) -> None:
    settings = Settings(logins_per_s=3)

    async with (
        asking(tmp_path, clock=clock, settings=settings) as one,
        asking(tmp_path, clock=clock, settings=settings) as other,
    ):
        answers = [
            await ask.token(grant_type="password", username="ada", password="wrong") for ask in (one, other, one, other)
        ]
        clock.time += 0.34
        answers.append(await one.token(grant_type="password", username="ada", password="ada"))

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 200]
    assert answers[3].headers["retry-after"] == "1"


async def test_nothing_secret_is_logged(
    ask: Asking, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = await ask.log_in("ada")
    await ask.token(grant_type="password", username="my own password", password="my own password")
    await ask.refresh(tokens["refresh_token"])

    written = caplog.text + "".join(capfd.readouterr())
    for secret in ("my own password", tokens["access_token"], tokens["refresh_token"], tokens["id_token"]):
        assert secret not in written
