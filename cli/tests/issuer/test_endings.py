"""Log-ins that end before their time: disabled, deleted and logged-out people, and what the issuer tells of them."""

from typing import Any

import pytest

from cli.tests.issuer.asking import BASE, OIDC, USERS, Asking, Clock
from petit.cli.issuer import user_id

ADMIN = f"{BASE}/admin/realms/petit"
ADA = f"{USERS}/{user_id('ada')}"


@pytest.fixture
async def service(ask: Asking, gateway_secret: str) -> dict[str, str]:
    return await ask.service(gateway_secret)


async def events(ask: Asking, service: dict[str, str], kind: str, **query: str) -> list[dict[str, Any]]:
    answer = await ask.http.get(f"{ADMIN}/{kind}?type=A&type=B", headers=service, params=query)
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()
    return told


async def test_who_is_disabled_can_neither_log_in_nor_go_on(ask: Asking, service: dict[str, str]) -> None:
    tokens = await ask.log_in()

    assert (await ask.http.put(ADA, json={"enabled": False}, headers=service)).status_code == 204
    assert (await ask.http.get(ADA, headers=service)).json()["enabled"] is False
    assert (await ask.refresh(tokens["refresh_token"])).status_code == 400
    assert (await ask.token(grant_type="password", username="ada", password="ada")).status_code == 401
    assert (await ask.http.put(ADA, json={"enabled": True}, headers=service)).status_code == 204
    assert (await ask.refresh(tokens["refresh_token"])).status_code == 200
    await ask.log_in()


async def test_who_is_deleted_is_gone(ask: Asking, service: dict[str, str]) -> None:
    tokens = await ask.log_in()

    assert (await ask.http.delete(ADA, headers=service)).status_code == 204
    assert (await ask.refresh(tokens["refresh_token"])).status_code == 400
    assert (await ask.http.get(ADA, headers=service)).status_code == 404
    for answer in (
        await ask.http.delete(ADA, headers=service),
        await ask.http.put(ADA, json={"enabled": True}, headers=service),
        await ask.http.post(f"{ADA}/logout", headers=service),
    ):
        assert answer.status_code == 404


async def test_log_ins_are_ended_one_or_all(ask: Asking, service: dict[str, str]) -> None:
    one, two, three = [await ask.log_in() for _ in range(3)]

    for status in (204, 404):
        answer = await ask.http.delete(f"{ADMIN}/sessions/{one['session_state']}", headers=service)
        assert answer.status_code == status
    assert [(await ask.refresh(each["refresh_token"])).status_code for each in (one, two)] == [400, 200]
    assert (await ask.http.post(f"{ADA}/logout", headers=service)).status_code == 204
    assert [(await ask.refresh(each["refresh_token"])).status_code for each in (two, three)] == [400, 400]


async def test_what_ended_is_told_since_a_time(ask: Asking, service: dict[str, str], clock: Clock) -> None:
    tokens = await ask.log_in()
    begun = clock.now_ms()
    await ask.http.put(ADA, json={"enabled": True}, headers=service)
    clock.time += 1
    await ask.http.post(f"{ADA}/logout", headers=service)
    await ask.http.post(f"{OIDC}/logout", data={"client_id": "petit-web", "refresh_token": tokens["refresh_token"]})
    clock.time += 1
    await ask.http.delete(ADA, headers=service)

    by_admins = await events(ask, service, "admin-events")
    assert [(event["time"] - begun, event["operationType"]) for event in by_admins] == [
        (0, "UPDATE"),
        (1000, "ACTION"),
        (2000, "DELETE"),
    ]
    assert [event["resourcePath"].removeprefix(f"users/{user_id('ada')}") for event in by_admins] == ["", "/logout", ""]
    assert await events(ask, service, "events") == [
        {"time": begun + 1000, "type": "LOGOUT", "userId": user_id("ada"), "sessionId": tokens["session_state"]}
    ]
    assert len(await events(ask, service, "admin-events", dateFrom=str(begun + 1))) == 2
    assert await events(ask, service, "admin-events", max="1") == by_admins[:1]
    assert await events(ask, service, "admin-events", first="1", max="5") == by_admins[1:]


async def test_only_services_that_may_do_and_see_this(ask: Asking, service: dict[str, str]) -> None:
    ada = {"authorization": f"Bearer {(await ask.log_in())['access_token']}"}
    for headers, status in (({}, 401), (ada, 403)):
        for answer in (
            await ask.http.put(ADA, json={"enabled": False}, headers=headers),
            await ask.http.delete(ADA, headers=headers),
            await ask.http.post(f"{ADA}/logout", headers=headers),
            await ask.http.delete(f"{ADMIN}/sessions/s", headers=headers),
            await ask.http.get(f"{ADMIN}/events", headers=headers),
            await ask.http.get(f"{ADMIN}/admin-events", headers=headers),
        ):
            assert answer.status_code == status
    assert (await ask.http.put(ADA, content=b"[", headers=service)).status_code == 400
    assert (await ask.http.get(f"{ADMIN}/events?max=x", headers=service)).status_code == 400
