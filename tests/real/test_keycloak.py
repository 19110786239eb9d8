"""R01, R02, R04 and R13 with a real Keycloak: which tokens are good, who gets in, and how a log-in ends."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx2
import pytest
import pytest_asyncio

from tests.e2e.waiting import eventually
from tests.e2e.wire import Ended, RawFrame, SocketWire, SseWire, knock, opened
from tests.real.edges import Edges, Realm, edges
from tests.real.servers import Keycloak

pytestmark = [pytest.mark.real, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

PASSWORD: Final = "correct horse battery"
WITHIN_S: Final = 5.0
GOOD: Final = {(200, "")}
INVALID: Final = {(401, "token.invalid")}
AUDIENCE: Final = {
    "name": "audience",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-audience-mapper",
    "config": {"included.custom.audience": "petit-api", "access.token.claim": "true"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edges]:
    """Two of each edge, and a Keycloak that tells the first gateway of log-outs."""
    async with edges(keycloak, tmp_path_factory.mktemp("edges")) as made:
        host = "127.0.0.1"
        if keycloak.box is not None:
            networks: dict[str, Any] = keycloak.box.wrapped.attrs["NetworkSettings"]["Networks"]
            host = next(iter(networks.values()))["Gateway"]
        port = made.gateways[0].rpartition(":")[2]
        await _tell(made.realm, f"http://{host}:{port}/backchannel-logout")
        await made.realm.known_as(keycloak.url)
        yield made
        await made.realm.known_as("")


async def _tell(realm: Realm, url: str) -> None:
    """Have Keycloak tell this address of log-outs."""
    (web,) = (await realm.admin("GET", "/clients?clientId=petit-web")).json()
    web["attributes"]["backchannel.logout.url"] = url
    await realm.admin("PUT", f"/clients/{web['id']}", json=web)


def _unsigned(token: str, **header: object) -> str:
    said = json.loads(base64.urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "==")) | header
    return f"{base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b'=').decode()}.{token.split('.', 1)[1]}"


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


async def test_keycloaks_tokens_are_good_and_nothing_else_is(on: Edges) -> None:
    """R01."""
    realm = on.realm
    await realm.client("petit-elsewhere")
    await realm.client("petit-unknown", protocolMappers=[AUDIENCE])
    await realm.client("petit-brief", protocolMappers=[AUDIENCE], attributes={"access.token.lifespan": "1"})
    good = (await realm.log_in("ada"))["access_token"]
    brief = (await realm.log_in("ada", client="petit-brief"))["access_token"]
    other_host = realm.url.replace("127.0.0.1", "localhost")
    await realm.known_as("")
    at_another_host = (await realm.log_in("ada", at=other_host))["access_token"]
    await realm.known_as(realm.keycloak.url)
    bad = {
        "another audience": (await realm.log_in("ada", client="petit-elsewhere"))["access_token"],
        "another app": (await realm.log_in("ada", client="petit-unknown"))["access_token"],
        "another issuer, same key": at_another_host,
        "an ID token": (await realm.log_in("ada"))["id_token"],
        "a refresh token": (await realm.log_in("ada"))["refresh_token"],
        "no algorithm": _unsigned(good, alg="none"),
        "a key that is not there": _unsigned(good, kid="not-there"),
        "another signature": good[:-8] + ("AAAAAAAA" if not good.endswith("AAAAAAAA") else "BBBBBBBB"),
    }

    assert await on.statuses(good) == GOOD
    assert {name: await on.statuses(token) for name, token in bad.items()} == dict.fromkeys(bad, INVALID)
    assert _claims(good)["iss"] == realm.url
    assert _claims(at_another_host)["iss"] == other_host
    me = await realm.http.get(f"{on.gateways[0]}/v1/me", headers={"authorization": f"Bearer {good}"})
    assert (me.json()["id"], me.json()["roles"]) == (_claims(good)["sub"], ["USER"])

    async def expired() -> bool:
        return await on.statuses(brief) == {(401, "token.expired")}

    await eventually(expired, within_s=30, every_s=0.5, what="a token has expired")


async def test_a_rotated_key_needs_no_restart(on: Edges) -> None:
    """R01."""
    old = (await on.realm.log_in("ada"))["access_token"]
    assert await on.statuses(old) == GOOD
    made = await on.realm.admin(
        "POST",
        "/components",
        json={
            "name": f"rotated-{secrets.token_hex(4)}",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {"priority": ["200"]},
        },
    )
    try:
        new = (await on.realm.log_in("ada"))["access_token"]
        assert new.split(".")[0] != old.split(".")[0]
        assert await on.statuses(new) == GOOD
        assert await on.statuses(old) == GOOD
    finally:
        await on.realm.admin("DELETE", f"/components/{made.headers['location'].rsplit('/', 1)[1]}")


async def test_who_signs_up_and_logs_in_has_an_account(on: Edges) -> None:
    """R02."""
    name, gateway = f"q{secrets.token_hex(6)}", on.realm.http
    one, other = on.gateways

    made = await gateway.post(f"{one}/signup", json={"username": name, "password": PASSWORD, "name": "Quentin"})
    taken = await gateway.post(f"{other}/signup", json={"username": name.upper(), "password": PASSWORD})
    wrong = await gateway.post(f"{one}/login", json={"username": name, "password": "not that one"})
    nobody = await gateway.post(f"{one}/login", json={"username": f"{name}x", "password": PASSWORD})
    entered = await gateway.post(f"{other}/login", json={"username": name, "password": PASSWORD})
    account = await gateway.get(f"{one}/account", headers={"authorization": f"Bearer {entered.json()['access_token']}"})

    assert (made.status_code, made.json()["name"]) == (201, "Quentin")
    assert (taken.status_code, taken.json()["code"]) == (409, "conflict.state")
    assert wrong.json() == nobody.json(), "nobody learns who there is"
    assert (wrong.status_code, wrong.json()["code"]) == (401, "credentials.invalid")
    assert account.json()["id"] == made.json()["id"]
    assert (account.json()["username"], account.json()["roles"]) == (name, ["USER"])
    assert on.stored("conflict.state"), "what is stored and logged was looked at"
    assert on.stored(PASSWORD) == on.stored("not that one") == []


async def test_a_password_that_keycloaks_policy_refuses(on: Edges) -> None:
    before = await on.realm.change(passwordPolicy="length(20) and notUsername(undefined)")
    try:
        answer = await on.realm.http.post(
            f"{on.gateways[0]}/signup", json={"username": f"q{secrets.token_hex(6)}", "password": "only 16 letters.."}
        )
    finally:
        await on.realm.change(passwordPolicy=before.get("passwordPolicy", ""))

    assert answer.status_code == 422, answer.text
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")


async def test_who_guesses_passwords_is_kept_out_with_the_right_one_as_well(on: Edges) -> None:
    name = f"q{secrets.token_hex(6)}"
    await on.realm.add(name)
    url = f"{on.gateways[0]}/login"
    guesses = [await on.realm.http.post(url, json={"username": name, "password": "a guess"}) for _ in range(11)]

    right = await on.realm.http.post(url, json={"username": name, "password": name})

    assert {guess.status_code for guess in guesses} == {401}
    assert (right.status_code, right.json()) == (401, guesses[0].json()), "and nobody is told that they are locked"


async def test_nobody_is_found_by_an_e_mail_address(on: Edges) -> None:
    """R13."""
    word = secrets.token_hex(5)
    await on.realm.add(f"hidden{word}", email=f"jo{word}@mail.test", firstName="Jo")
    await on.realm.add(f"jo{word}x")
    token = (await on.realm.log_in("ada"))["access_token"]

    async def found(prefix: str) -> list[str]:
        answer = await on.realm.http.get(
            f"{on.gateways[0]}/v1/users", params={"username": prefix}, headers={"authorization": f"Bearer {token}"}
        )
        assert "mail.test" not in answer.text
        return [person["username"] for person in answer.json()["items"]]

    assert await found(f"jo{word}") == [f"jo{word}x"]
    assert await found(f"jo{word}@") == await found(f"jo{word}@mail.test") == []
    assert await found(f"hidden{word}") == [f"hidden{word}"]


async def _last(wire: SseWire | SocketWire) -> RawFrame:
    """Read to the end of a stream, and return the last frame before it."""
    last = await wire.frame()
    try:
        while True:
            last = await wire.frame()
    except Ended:
        return last


async def _at_the_issuer(realm: Realm, grant: dict[str, Any], _: str) -> None:
    form = {"client_id": "petit-web", "refresh_token": grant["refresh_token"]}
    answer = await realm.http.post(f"{realm.url}/protocol/openid-connect/logout", data=form)
    assert answer.status_code == 204


async def _session_removed(realm: Realm, grant: dict[str, Any], _: str) -> None:
    await realm.admin("DELETE", f"/sessions/{grant['session_state']}")


async def _disabled(realm: Realm, _: dict[str, Any], user: str) -> None:
    await realm.admin("PUT", f"/users/{user}", json={"enabled": False})


async def _deleted(realm: Realm, _: dict[str, Any], user: str) -> None:
    await realm.admin("DELETE", f"/users/{user}")


async def test_nobody_can_have_a_token_that_outlives_its_log_in(on: Edges) -> None:
    """R04: an offline token is good after a log-out that is no longer remembered."""
    form = {"client_id": "petit-web", "grant_type": "password", "username": "ada", "password": "ada"}

    answer = await on.realm.http.post(
        f"{on.realm.url}/protocol/openid-connect/token", data=form | {"scope": "openid offline_access"}
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("end", [_at_the_issuer, _session_removed, _disabled, _deleted])
async def test_streams_and_tokens_end_on_all_edges_and_stay_ended(
    on: Edges, end: Callable[[Realm, dict[str, Any], str], Awaitable[None]]
) -> None:
    """R04: within 5 s, and a gateway that starts later refuses the tokens as well."""
    name = f"q{secrets.token_hex(6)}"
    user = await on.realm.add(name)
    grant = await on.realm.log_in(name)
    token = grant["access_token"]
    async with (
        opened("sse", on.notifiers[0], token=token) as one,
        opened("ws", on.notifiers[1], token=token) as other,
    ):
        for wire in (one, other):
            assert (await wire.frame()).event == "hello"
        begun = time.monotonic()
        await end(on.realm, grant, user)
        for wire in (one, other):
            bye = await _last(wire)
            assert (bye.event, bye.data) == ("bye", {"code": 4401, "resume": False})
        assert time.monotonic() - begun < WITHIN_S

    assert await on.statuses(token) == INVALID
    for url in on.notifiers:
        assert await knock("sse", url, token=token) == (401, "token.invalid")
    if end is _disabled:
        await on.restart("gateway-1")
        assert await on.statuses(token) == INVALID


async def test_a_log_out_that_nobody_was_told_of_is_read_later(on: Edges) -> None:
    """Keycloak tells once. What it noted is asked for."""
    grant = await on.realm.log_in("cat")
    assert await on.statuses(grant["access_token"]) == GOOD
    (web,) = (await on.realm.admin("GET", "/clients?clientId=petit-web")).json()
    told = web["attributes"]["backchannel.logout.url"]
    await _tell(on.realm, "http://127.0.0.1:1/nowhere")
    try:
        await _at_the_issuer(on.realm, grant, "")
    finally:
        await _tell(on.realm, told)

    async def refused() -> bool:
        return await on.statuses(grant["access_token"]) == INVALID

    await eventually(refused, within_s=WITHIN_S, what="the token is refused")


async def test_a_log_in_that_ends_leaves_the_others(on: Edges) -> None:
    one, other = await on.realm.log_in("dan"), await on.realm.log_in("dan")
    answer = await on.realm.http.post(
        f"{on.gateways[1]}/logout", headers={"authorization": f"Bearer {one['access_token']}"}
    )

    assert answer.status_code == 204

    async def refused() -> bool:
        return await on.statuses(one["access_token"]) == INVALID

    await eventually(refused, within_s=WITHIN_S, what="the token is refused")
    assert await on.statuses(other["access_token"]) == GOOD


async def test_while_keycloak_is_down_those_who_are_in_go_on(on: Edges) -> None:
    token = (await on.realm.log_in("bob"))["access_token"]
    assert await on.statuses(token) == GOOD
    on.wire.cut(mended=False)
    try:
        again = await asyncio.gather(*(on.statuses(token) for _ in range(5)))
        answers: list[httpx2.Response] = [
            await on.realm.http.post(f"{on.gateways[0]}{path}", json=body)
            for path, body in (
                ("/login", {"username": "bob", "password": "bob"}),
                ("/signup", {"username": f"q{secrets.token_hex(6)}", "password": PASSWORD}),
            )
        ]
    finally:
        on.wire.mended = True

    assert again == [GOOD] * 5
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    entered = await on.realm.http.post(f"{on.gateways[0]}/login", json={"username": "bob", "password": "bob"})
    assert entered.status_code == 200
