"""The browser's way: the log-in form, the code, and PKCE."""

from pathlib import Path

import jwt
import pytest

from cli.tests.issuer.asking import BACK, BASE, ISSUER, OIDC, Asking, Clock, asking, sent_back
from petit.cli.issuer import user_id


async def test_a_browser_logs_in_and_its_app_gets_tokens(ask: Asking) -> None:
    page = await ask.authorize()
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")

    answer = await ask.submit(page, username="ada", password="ada")
    back = sent_back(answer)
    tokens = await ask.redeem(back["code"])

    assert answer.headers["location"].startswith(f"{BACK}&")
    assert (back["state"], back["iss"]) == ("a state&more", ISSUER)
    assert tokens.status_code == 200
    principal = await ask.who(tokens.json())
    assert (principal.user, principal.session) == (user_id("ada"), back["session_state"])
    identity = jwt.decode(tokens.json()["id_token"], options={"verify_signature": False})
    assert (identity["typ"], identity["aud"], identity["nonce"]) == ("ID", "petit-web", "a nonce")


async def test_an_app_may_ask_for_the_answer_in_the_fragment(ask: Asking) -> None:
    page = await ask.authorize(response_mode="fragment")

    answer = await ask.submit(page, username="ada", password="ada")

    assert answer.headers["location"].startswith(f"{BACK}#code=")


async def test_a_wrong_password_shows_the_form_again(ask: Asking) -> None:
    page = await ask.submit(await ask.authorize(), username='"><script>ada', password="wrong")
    assert page.status_code == 401
    assert "Invalid username or password." in page.text
    assert "<script>" not in page.text

    answer = await ask.submit(page, username="ada", password="ada")

    assert (await ask.redeem(sent_back(answer)["code"])).status_code == 200


async def test_the_page_lets_nothing_foreign_in(ask: Asking) -> None:
    page = await ask.authorize(state='"><script>alert(1)</script>', login_hint='"><img src=x>')

    assert "<script" not in page.text
    assert "<img" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"


async def test_a_form_that_another_site_sends_is_refused(ask: Asking) -> None:
    ask.http.headers["sec-fetch-site"] = "cross-site"

    answer = await ask.submit(await ask.authorize(), username="ada", password="ada")

    assert answer.status_code == 403


async def test_a_code_is_good_once_and_using_it_again_ends_the_session(ask: Asking) -> None:
    code = await ask.code()
    tokens = (await ask.redeem(code)).json()

    again = await ask.redeem(code)

    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert (await ask.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_code_is_good_for_a_minute(ask: Asking, clock: Clock) -> None:
    early, late = await ask.code(), await ask.code()

    clock.time += 59
    assert (await ask.redeem(early)).status_code == 200
    clock.time += 1
    assert (await ask.redeem(late)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": "v"},
        {"code_verifier": "é" * 43},
        {"redirect_uri": "http://127.0.0.1:5173/other"},
        {"redirect_uri": BACK + "&more"},
        {"code": "unknown"},
    ],
    ids=str,
)
async def test_a_stolen_code_is_worth_nothing(ask: Asking, changes: dict[str, str]) -> None:
    code = await ask.code()

    answer = await ask.redeem(**{"code": code} | changes)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_guess_at_the_verifier_uses_the_code_up(ask: Asking) -> None:
    code = await ask.code()
    await ask.redeem(code, code_verifier="w" * 43)

    assert (await ask.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_code_of_one_process_is_redeemed_by_another(tmp_path: Path, clock: Clock) -> None:
    async with asking(tmp_path, clock=clock) as one, asking(tmp_path, clock=clock) as other:
        page = await one.authorize()
        answer = await other.submit(page, username="ada", password="ada")
        tokens = await one.redeem(sent_back(answer)["code"])

        assert (await other.who(tokens.json())).username == "ada"


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "",
        "/back",
        "https://evil.test/back",
        "http://evil.test/back",
        "https://127.0.0.1/back",
        "http://127.0.0.1@evil.test/",
        "http://evil.test@127.0.0.1/",
        "http://127.0.0.1.evil.test/",
        "http://127.0.0.1:80:90/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1\\@evil.test/",
        "http://127.0.0.1/#fragment",
        "http://127.0.0.1/\r\nx: y",
        "http://127.0.0.1/ x",
        "http://[::1/",
        "http://127.0.0.1/é",
        "javascript:alert(1)",
        "//127.0.0.1/",
    ],
)
async def test_nobody_is_sent_to_a_place_that_is_not_on_this_machine(ask: Asking, uri: str | None) -> None:
    answer = await ask.authorize(redirect_uri=uri)

    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "uri", ["http://localhost:3000/", "http://127.0.0.1/a/b?c=d", "http://[::1]:9/", "http://LOCALHOST"]
)
async def test_any_port_and_path_of_this_machine_will_do(ask: Asking, uri: str) -> None:
    code = await ask.code(redirect_uri=uri)

    assert (await ask.redeem(code, redirect_uri=uri)).status_code == 200


@pytest.mark.parametrize("client", [None, "unknown", "petit-gateway"])
async def test_an_unknown_client_is_told_on_a_page(ask: Asking, client: str | None) -> None:
    answer = await ask.authorize(client_id=client)

    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
    ],
    ids=str,
)
async def test_an_app_is_told_what_is_wrong(ask: Asking, changes: dict[str, str | None], error: str) -> None:
    back = sent_back(await ask.authorize(**changes))

    assert (back["error"], back["state"], back["iss"]) == (error, "a state&more", ISSUER)


async def test_a_form_with_another_redirect_is_checked_again(ask: Asking) -> None:
    page = await ask.authorize()
    page = type(page)(200, text=page.text.replace("127.0.0.1%3A5173", "evil.test"), request=page.request)

    answer = await ask.submit(page, username="ada", password="ada")

    assert answer.status_code == 400


async def test_log_ins_by_form_are_limited_too(ask: Asking) -> None:
    page = await ask.authorize()
    for _ in range(50):
        await ask.token(grant_type="password", username="ada", password="wrong")

    assert (await ask.submit(page, username="ada", password="ada")).status_code == 429


async def test_a_parameter_that_is_there_twice_is_told_on_a_page(ask: Asking) -> None:
    answer = await ask.http.get(f"{OIDC}/auth?client_id=petit-web&client_id=other")

    assert answer.status_code == 400
    assert answer.url.host == BASE.removeprefix("http://").partition(":")[0]
