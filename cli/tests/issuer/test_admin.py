"""Keycloak's admin paths: people found and made, keys rotated."""

import pytest

from cli.tests.issuer.asking import BASE, OIDC, USERS, Asking, Clock
from petit.cli.issuer import user_id


@pytest.fixture
async def service(ask: Asking, gateway_secret: str) -> dict[str, str]:
    return await ask.service(gateway_secret)


async def names(ask: Asking, service: dict[str, str], **parameters: str) -> list[str]:
    answer = await ask.http.get(USERS, params=parameters, headers=service)
    assert answer.status_code == 200, answer.text
    return [person["username"] for person in answer.json()]


async def add(ask: Asking, service: dict[str, str], *, username: str, **more: object) -> int:
    password = [{"type": "password", "value": username, "temporary": False}]
    body = {"username": username, "enabled": True, "credentials": password} | more
    return (await ask.http.post(USERS, json=body, headers=service)).status_code


async def test_people_are_listed_by_username_in_pages(ask: Asking, service: dict[str, str]) -> None:
    assert await names(ask, service) == ["ada", "bob", "cat", "dan", "eve", "root"]
    assert await names(ask, service, first="0", max="4") == ["ada", "bob", "cat", "dan"]
    assert await names(ask, service, first="4", max="4") == ["eve", "root"]
    assert await names(ask, service, first="6") == []


async def test_username_finds_anywhere_or_exactly(ask: Asking, service: dict[str, str]) -> None:
    assert await names(ask, service, username="A") == ["ada", "cat", "dan"]
    assert await names(ask, service, username="ADA", exact="true") == ["ada"]
    assert await names(ask, service, username="ad", exact="true") == []
    assert await names(ask, service, username="%") == []
    assert await names(ask, service, username="_da") == []


async def test_search_finds_beginnings_of_all_names(ask: Asking, service: dict[str, str]) -> None:
    await add(ask, service, username="zoe", firstName="Zoë", lastName="Adams")
    await add(ask, service, username="adam_west")

    assert await names(ask, service, search="ad") == ["ada", "adam_west", "zoe"]
    assert await names(ask, service, search="ad*") == ["ada", "adam_west", "zoe"]
    assert await names(ask, service, search="*west") == ["adam_west"]
    assert await names(ask, service, search='"ada"') == ["ada"]
    assert await names(ask, service, search="zo adams") == ["zoe"]
    assert await names(ask, service, search="adam_") == ["adam_west"]
    assert await names(ask, service, search="adam%") == []


@pytest.mark.parametrize("page", [{"first": "x"}, {"max": "-1"}, {"max": "1e3"}, {"first": "9" * 30}], ids=str)
async def test_pages_are_numbers(ask: Asking, service: dict[str, str], page: dict[str, str]) -> None:
    assert (await ask.http.get(USERS, params=page, headers=service)).status_code == 400


async def test_one_person_is_found_by_id(ask: Asking, service: dict[str, str], clock: Clock) -> None:
    answer = await ask.http.get(f"{USERS}/{user_id('ada')}", headers=service)

    assert answer.json() == {
        "id": user_id("ada"),
        "createdTimestamp": int(clock.time * 1000),
        "username": "ada",
        "enabled": True,
        "emailVerified": False,
        "firstName": "Ada",
        "lastName": "",
    }
    assert (await ask.http.get(f"{USERS}/nobody", headers=service)).status_code == 404


async def test_a_new_person_logs_in(ask: Asking, service: dict[str, str]) -> None:
    body = {
        "username": "Grace",
        "firstName": "Grace",
        "lastName": "Hopper",
        "enabled": True,
        "credentials": [{"type": "password", "value": "s3cret", "temporary": False}],
    }
    answer = await ask.http.post(USERS, json=body, headers=service)

    assert answer.status_code == 201
    assert answer.headers["location"] == f"{USERS}/{user_id('grace')}"
    tokens = await ask.token(grant_type="password", username="grace", password="s3cret")
    principal = await ask.who(tokens.json())
    assert (principal.user, principal.name, principal.roles) == (user_id("grace"), "Grace Hopper", frozenset({"USER"}))


async def test_a_username_is_taken_once(ask: Asking, service: dict[str, str]) -> None:
    assert await add(ask, service, username="fay") == 201
    assert await add(ask, service, username="FAY") == 409
    assert await add(ask, service, username="ada", credentials=[{"type": "password", "value": "x"}]) == 409
    assert (await ask.who(await ask.log_in("ada"))).username == "ada"


async def test_a_person_without_password_cannot_log_in(ask: Asking, service: dict[str, str]) -> None:
    await add(ask, service, username="fay", credentials=[])

    for password in ("fay", "\x00", " "):
        assert (await ask.token(grant_type="password", username="fay", password=password)).status_code == 401


@pytest.mark.parametrize("username", ["", " ", ".fay", "a b", "a/b", "a" * 65, "é", "a\n"])
async def test_a_username_that_is_none_is_refused(ask: Asking, service: dict[str, str], username: str) -> None:
    expected = 201 if username == "a\n" else 400  # what is around it is taken off, as Keycloak does

    assert await add(ask, service, username=username) == expected


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"username":7}', b"[" * 9_000])
async def test_a_body_that_is_no_user_is_refused(ask: Asking, service: dict[str, str], body: bytes) -> None:
    assert (await ask.http.post(USERS, content=body, headers=service)).status_code == 400


async def test_only_the_gateway_administers(ask: Asking) -> None:
    root = await ask.log_in("root")

    for headers, status in (
        ({}, 401),
        ({"authorization": "Bearer garbage"}, 401),
        ({"authorization": f"Bearer {root['access_token']}"}, 403),
    ):
        component = {"providerType": "org.keycloak.keys.KeyProvider", "providerId": "rsa-generated"}
        components = f"{BASE}/admin/realms/petit/components"
        assert (await ask.http.get(USERS, headers=headers)).status_code == status
        assert (await ask.http.get(f"{USERS}/x", headers=headers)).status_code == status
        assert (await ask.http.post(USERS, json={"username": "x"}, headers=headers)).status_code == status
        assert (await ask.http.post(components, json=component, headers=headers)).status_code == status


@pytest.mark.parametrize("kind", [("rsa-generated", "RS256"), ("ecdsa-generated", "ES256")], ids=str)
async def test_a_new_key_provider_rotates_the_signing_key(
    ask: Asking, service: dict[str, str], kind: tuple[str, str]
) -> None:
    provider, algorithm = kind
    before = await ask.log_in("ada")
    await ask.who(before)
    body = {"name": "next", "providerType": "org.keycloak.keys.KeyProvider", "providerId": provider, "config": {}}

    answer = await ask.http.post(f"{BASE}/admin/realms/petit/components", json=body, headers=service)

    assert answer.status_code == 201
    keys = (await ask.http.get(f"{OIDC}/certs")).json()["keys"]
    assert [key["alg"] for key in keys] == [algorithm, "RS256"]
    assert (await ask.who(await ask.log_in("bob"))).username == "bob"
    assert (await ask.who(before)).username == "ada"


async def test_a_component_that_is_no_key_provider_is_refused(ask: Asking, service: dict[str, str]) -> None:
    address = f"{BASE}/admin/realms/petit/components"

    for body in ({}, {"providerType": "org.keycloak.keys.KeyProvider", "providerId": "hmac-generated"}):
        assert (await ask.http.post(address, json=body, headers=service)).status_code == 400
