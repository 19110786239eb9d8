"""Discovery, userinfo and logout."""

import pytest

from cli.tests.issuer.asking import BACK, BASE, ISSUER, OIDC, Asking, Clock
from petit.cli.issuer import user_id


async def test_discovery_names_keycloaks_paths(ask: Asking) -> None:
    found = (await ask.http.get(f"{ISSUER}/.well-known/openid-configuration")).json()

    assert found["issuer"] == ISSUER
    assert found["authorization_endpoint"] == f"{OIDC}/auth"
    assert found["token_endpoint"] == f"{OIDC}/token"
    assert found["jwks_uri"] == f"{OIDC}/certs"
    assert found["userinfo_endpoint"] == f"{OIDC}/userinfo"
    assert found["end_session_endpoint"] == f"{OIDC}/logout"
    assert found["code_challenge_methods_supported"] == ["S256"]


async def test_the_issuer_is_the_same_by_any_name_of_this_machine(ask: Asking) -> None:
    path = "/realms/petit/.well-known/openid-configuration"
    answer = await ask.http.get(f"http://localhost:8080{path}")

    assert answer.json()["issuer"] == ISSUER
    tokens = await ask.http.post(
        "http://localhost:8080/realms/petit/protocol/openid-connect/token",
        data={"client_id": "petit-web", "grant_type": "password", "username": "ada", "password": "ada"},
    )
    assert (await ask.who(tokens.json())).username == "ada"


async def test_a_foreign_name_for_this_machine_gets_no_answer(ask: Asking) -> None:
    answer = await ask.http.get("http://evil.test/realms/petit/protocol/openid-connect/certs")

    assert answer.status_code == 400


async def test_keys_are_public_halves_only(ask: Asking) -> None:
    (key,) = (await ask.http.get(f"{OIDC}/certs")).json()["keys"]

    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}
    assert (key["use"], key["alg"]) == ("sig", "RS256")


async def test_a_page_on_another_port_may_ask_for_tokens(ask: Asking) -> None:
    near = await ask.http.get(f"{OIDC}/certs", headers={"origin": "http://localhost:5173"})
    far = await ask.http.get(f"{OIDC}/certs", headers={"origin": "http://localhost.evil.test"})

    assert near.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert "access-control-allow-origin" not in far.headers


async def test_userinfo_says_who_is_logged_in(ask: Asking) -> None:
    tokens = await ask.log_in("ada")

    answer = await ask.http.get(f"{OIDC}/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})

    assert answer.json() == {
        "sub": user_id("ada"),
        "name": "Ada",
        "given_name": "Ada",
        "preferred_username": "ada",
        "email_verified": False,
    }


async def test_userinfo_wants_a_good_token(ask: Asking, clock: Clock) -> None:
    tokens = await ask.log_in("ada")
    bare = await ask.log_in("ada", scope="")

    async def status(header: str) -> int:
        answer = await ask.http.get(f"{OIDC}/userinfo", headers={"authorization": header} if header else {})
        return answer.status_code

    assert await status("") == 401
    assert await status("Bearer garbage") == 401
    assert await status(f"Bearer {tokens['id_token']}") == 401
    assert await status(f"Bearer {tokens['refresh_token']}") == 401
    assert await status(f"Bearer {bare['access_token']}") == 403
    clock.time += 601
    assert await status(f"Bearer {tokens['access_token']}") == 401


async def test_an_app_logs_its_person_out_by_refresh_token(ask: Asking) -> None:
    tokens, other = await ask.log_in("ada"), await ask.log_in("ada")

    form = {"client_id": "petit-web", "refresh_token": tokens["refresh_token"]}
    answer = await ask.http.post(f"{OIDC}/logout", data=form)

    assert answer.status_code == 204
    assert (await ask.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await ask.http.get(f"{OIDC}/userinfo", headers=bearer)).status_code == 401
    assert (await ask.refresh(other["refresh_token"])).status_code == 200
    assert (await ask.http.post(f"{OIDC}/logout", data=form)).status_code == 204


async def test_a_logout_with_a_wrong_refresh_token_is_refused(ask: Asking) -> None:
    answer = await ask.http.post(f"{OIDC}/logout", data={"client_id": "petit-web", "refresh_token": "garbage"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_browser_is_logged_out_and_sent_back(ask: Asking, clock: Clock) -> None:
    tokens = await ask.log_in("ada")
    clock.time += 3_600

    answer = await ask.http.get(
        f"{OIDC}/logout",
        params={"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": BACK, "state": "s&t"},
    )

    assert (answer.status_code, answer.headers["location"]) == (303, f"{BACK}&state=s%26t")
    assert (await ask.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_logout_without_a_place_to_go_ends_on_a_page(ask: Asking) -> None:
    tokens = await ask.log_in("ada")

    answer = await ask.http.post(f"{OIDC}/logout", data={"id_token_hint": tokens["id_token"]})

    assert (answer.status_code, "You are logged out" in answer.text) == (200, True)
    assert (await ask.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "parameters",
    [
        {"id_token_hint": "garbage", "post_logout_redirect_uri": BACK},
        {"post_logout_redirect_uri": BACK},
        {"post_logout_redirect_uri": BACK, "client_id": "unknown"},
        {"post_logout_redirect_uri": "https://evil.test", "client_id": "petit-web"},
    ],
    ids=str,
)
async def test_a_logout_sends_nobody_where_it_should_not(ask: Asking, parameters: dict[str, str]) -> None:
    answer = await ask.http.get(f"{OIDC}/logout", params=parameters)

    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_hint_of_another_client_is_refused(ask: Asking) -> None:
    tokens = await ask.log_in("ada")
    parameters = {"id_token_hint": tokens["id_token"], "client_id": "petit-gateway"}

    assert (await ask.http.get(f"{OIDC}/logout", params=parameters)).status_code == 400
    assert (await ask.refresh(tokens["refresh_token"])).status_code == 200


async def test_what_is_not_there_is_a_404(ask: Asking) -> None:
    assert (await ask.http.get(f"{BASE}/realms/other/protocol/openid-connect/certs")).status_code == 404
    assert (await ask.http.get(f"{OIDC}/token")).status_code == 405
