"""Sign-up, log-in, account and log-out in front of the issuer, and what the issuer tells of log-outs."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx2
import pytest

from petit.contracts.ids import UserId
from petit.contracts.signals import SessionRevoked, decode
from petit.gateway.app import Options
from petit.gateway.handlers.sessions import Sessions
from petit.gateway.ports import Ended, Ending
from services.gateway.tests.edge import Edge, code, eventually, opened, problem
from services.gateway.tests.issuing import MemoryAccounts
from services.gateway.tests.keycloak import FakeKeycloak

SIGN_UP = {"username": "Zoe", "password": "correct horse", "name": "Zoe Z."}


def pointers(response: httpx2.Response) -> list[str]:
    return [error["pointer"] for error in problem(response)["errors"]]


def revoked(world: Edge) -> list[tuple[str, str | None]]:
    """Return the log-ins that the log says are over."""
    signals = [decode(entry.payload) for entry in world.log.entries.values()]
    return [(signal.person, signal.data.session) for signal in signals if isinstance(signal, SessionRevoked)]


async def test_who_signs_up_and_logs_in_has_an_account(world: Edge) -> None:
    anybody = world.client(None)

    made = await anybody.post("/signup", json=SIGN_UP)
    entered = await anybody.post("/login", json={"username": "zoe", "password": "correct horse"})
    account = await world.client(entered.json()["access_token"]).get("/account")
    again = await anybody.post("/login", json={"refresh_token": entered.json()["refresh_token"]})

    assert made.status_code == 201
    assert made.json() == {"id": "zoe", "username": "zoe", "name": "Zoe Z.", "status": None}
    assert entered.status_code == again.status_code == 200
    assert set(entered.json()) == {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
    assert entered.headers["cache-control"] == "no-store"
    assert account.json()["username"] == "zoe"
    assert account.json()["roles"] == ["USER"]


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"password": "short"}, "/password"),
        ({"password": "x" * 257}, "/password"),
        ({"username": ""}, "/username"),
        ({"username": "zoe@mail.test"}, "/username"),
        ({"username": "x" * 65}, "/username"),
        ({"username": "-zoe"}, "/username"),
        ({"name": ""}, "/name"),
        ({"email": "zoe@mail.test"}, "/email"),
        ({"password": None}, "/password"),
    ],
)
async def test_what_is_wrong_with_a_sign_up_is_pointed_at(world: Edge, changes: dict[str, str], at: str) -> None:
    answer = await world.client(None).post("/signup", json=SIGN_UP | changes)

    assert code(answer) == (422, "request.invalid")
    assert pointers(answer) == [at]
    for secret in ("correct horse", "short", "x" * 65):
        assert secret not in answer.text


async def test_a_password_that_the_issuer_does_not_accept(world: Edge) -> None:
    answer = await world.client(None).post("/signup", json={"username": "longenough", "password": "longenough"})

    assert (code(answer), pointers(answer)) == ((422, "request.invalid"), ["/password"])


async def test_where_sign_up_is_off_there_is_no_such_path_and_who_has_an_account_logs_in() -> None:
    async with opened(options=Options(sign_up=False)) as world:
        world.accounts.passwords["ada"] = "correct horse"
        anybody = world.client(None)

        refused = [await anybody.request(method, "/signup", json=SIGN_UP) for method in ("POST", "GET", "OPTIONS")]
        entered = await anybody.post("/login", json={"username": "ada", "password": "correct horse"})

    assert [code(answer) for answer in refused] == [(404, "route.not_found")] * 3
    assert "zoe" not in world.accounts.passwords
    assert entered.status_code == 200


async def test_a_name_that_is_taken(world: Edge) -> None:
    assert code(await world.client(None).post("/signup", json=SIGN_UP | {"username": "ADA"})) == (409, "conflict.state")


@pytest.mark.parametrize(
    "body",
    [
        {"username": "ada", "password": "wrong"},
        {"username": "nobody", "password": "correct horse"},
        {"refresh_token": "garbage"},
    ],
)
async def test_who_is_not_let_in_is_told_no_more_than_that(world: Edge, body: dict[str, str]) -> None:
    world.accounts.passwords["ada"] = "correct horse"

    answer = await world.client(None).post("/login", json=body)

    assert code(answer) == (401, "credentials.invalid")
    assert answer.headers["www-authenticate"] == 'Bearer realm="petit"'
    assert answer.json()["detail"] == "this lets nobody in"


@pytest.mark.parametrize(
    "body", [{}, {"username": "ada"}, {"password": "x"}, {"username": "ada", "password": "x", "refresh_token": "r"}]
)
async def test_a_log_in_is_by_one_of_two_ways(world: Edge, body: dict[str, str]) -> None:
    assert code(await world.client(None).post("/login", json=body)) == (422, "request.invalid")


async def test_an_issuer_that_is_down_keeps_those_out_who_are_not_in(world: Edge) -> None:
    world.accounts.down = True

    for path, body in (("/signup", SIGN_UP), ("/login", {"username": "ada", "password": "x"})):
        answer = await world.client(None).post(path, json=body)
        assert code(answer) == (503, "unavailable")
        assert answer.headers["retry-after"] == "2"
    assert (await world.client("ada").get("/account")).status_code == 200
    assert code(await world.client("ada").post("/logout")) == (503, "unavailable")
    assert revoked(world) == []


async def test_log_ins_are_limited_by_name_and_by_address() -> None:
    async with opened(options=Options(logins_per_s=3)) as world:
        anybody = world.client(None)
        by_name = [await anybody.post("/login", json={"username": "ada", "password": "x"}) for _ in range(4)]
        world.clock.forward(seconds=2)
        by_address = [await anybody.post("/login", json={"username": f"u{n}", "password": "x"}) for n in range(4)]

    for answers in (by_name, by_address):
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert answers[0].headers["ratelimit-policy"] == '"logins";q=3;w=1'


async def test_only_our_own_proxies_say_where_somebody_comes_from() -> None:
    async def statuses(**more: object) -> list[int]:
        async with opened(options=Options(logins_per_s=1, **more)) as world:  # type: ignore[arg-type]  # one option
            anybody = world.client(None)
            return [
                (
                    await anybody.post(
                        "/login",
                        json={"username": f"u{number}", "password": "x"},
                        headers={"x-forwarded-for": f"10.0.0.{number}"},
                    )
                ).status_code
                for number in range(3)
            ]

    assert await statuses() == [401, 429, 429]
    assert await statuses(trusted_proxies=("127.0.0.1",)) == [401, 401, 401]
    assert await statuses(count_addresses=False) == [401, 401, 401]


async def test_no_password_is_logged(
    world: Edge, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    anybody = world.client(None)
    world.accounts.down = True
    await anybody.post("/signup", json=SIGN_UP)
    await anybody.post("/login", json={"username": "zoe", "password": "correct horse"})
    world.accounts.down = False
    await anybody.post("/signup", json=SIGN_UP | {"username": "no good"})
    await anybody.post("/signup", json=SIGN_UP)
    await anybody.post("/login", json={"username": "zoe", "password": "correct horse, wrong"})

    said = capsys.readouterr()
    assert "correct horse" not in caplog.text + said.out + said.err
    assert all(b"correct horse" not in entry.payload for entry in world.log.entries.values())


async def test_a_log_out_is_in_the_log_and_its_tokens_are_refused(world: Edge) -> None:
    ada = world.client("ada")

    assert (await ada.post("/logout")).status_code == 204
    assert world.accounts.logged_out == ["session-of-ada"]
    assert revoked(world) == [("ada", "session-of-ada")]
    assert code(await world.client(None).post("/logout")) == (401, "token.missing")


async def test_the_issuer_says_that_a_log_in_is_over(world: Edge) -> None:
    issuer = world.client(None)
    for token in ("logout ada phone", "logout ada phone", "logout bob"):
        answer = await issuer.post("/backchannel-logout", data={"logout_token": token})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")

    assert revoked(world) == [("ada", "phone"), ("bob", None)], "a repeat is the same"


@pytest.mark.parametrize("body", [b"", b"logout_token=", b"logout_token=x", b"token=x", b"{}", b"\xff\x00" * 9])
async def test_what_is_no_logout_token_ends_nothing(world: Edge, body: bytes) -> None:
    answer = await world.client(None).post("/backchannel-logout", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert revoked(world) == []


async def test_a_log_out_that_cannot_be_written_down_is_said_to_be_so(world: Edge) -> None:
    world.log.down = True
    answer = await world.client(None).post("/backchannel-logout", data={"logout_token": "logout ada"})

    assert code(answer) == (503, "unavailable")


def sessions(world: Edge) -> Sessions:
    return Sessions(
        accounts=world.accounts, watched=world.accounts, log=world.log, tokens=world.tokens, clock=world.clock
    )


async def test_what_the_issuer_noted_is_written_down_once(world: Edge) -> None:
    now, one = world.clock.ms, sessions(world)
    world.accounts.ended_ = [
        Ending(user=UserId("ada"), session="phone", at_ms=now - 1_000),
        Ending(user=UserId("bob"), session=None, at_ms=now - 500),
    ]
    for each in (one, one, sessions(world)):
        await each.look()

    assert revoked(world) == [("ada", "phone"), ("bob", None)]
    assert set(world.accounts.asked_since) == {now - 3_600_000, now - 500 - 10_000}, "what was noted late as well"


async def test_any_number_of_log_outs_at_once_is_written_down_and_what_comes_then(world: Edge) -> None:
    sso, now = FakeKeycloak("ada"), world.clock.ms
    sso.events = [
        {"time": now - 9_000 + each, "type": "LOGOUT", "userId": "ada", "sessionId": f"s{each}"}
        for each in range(1_200)
    ]
    accounts = sso.accounts(world.clock)
    one = Sessions(accounts=accounts, watched=accounts, log=world.log, tokens=world.tokens, clock=world.clock)
    await one.look()
    sso.events.append({"time": now, "type": "LOGOUT", "userId": "ada", "sessionId": "later"})

    await one.look()
    await one.look()

    assert revoked(world) == [("ada", f"s{each}") for each in range(1_200)] + [("ada", "later")]
    assert f"dateFrom={now - 10_000}&" in next(url for url in reversed(sso.asked) if "/events?" in url)


async def test_what_is_noted_while_a_long_story_is_told_is_asked_for_again(world: Edge) -> None:
    now = world.clock.ms

    class Slow(MemoryAccounts):
        async def ended(self, since_ms: int) -> AsyncIterator[Ended]:
            async for part in super().ended(since_ms):
                yield part
            world.clock.forward(seconds=30)
            yield Ended(endings=[], until_ms=now + 29_000)

    accounts = Slow(world.directory)
    one = Sessions(accounts=accounts, watched=accounts, log=world.log, tokens=world.tokens, clock=world.clock)
    await one.look()
    accounts.ended_ = [Ending(user=UserId("ada"), session="phone", at_ms=now)]

    await one.look()

    assert revoked(world) == [("ada", "phone")]


async def test_what_the_log_knows_is_not_written_again(world: Edge) -> None:
    one = sessions(world)
    world.accounts.ended_ = [Ending(user=UserId("ada"), session="phone", at_ms=world.clock.ms)]
    await one.look()
    for entry in list(world.log.entries.values()):
        world.gateway.on_entry(entry)
    world.clock.forward(seconds=600)

    await sessions(world).look()

    assert len(revoked(world)) == 1


async def test_an_outage_of_the_issuer_is_waited_out(world: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("petit.gateway.handlers.sessions.EVERY_S", 0.001)
    world.accounts.down = True
    world.accounts.ended_ = [Ending(user=UserId("ada"), session="phone", at_ms=world.clock.ms)]
    running = asyncio.create_task(sessions(world).run())
    await asyncio.sleep(0.01)
    world.accounts.down = False
    await eventually(lambda: revoked(world))
    running.cancel()

    assert revoked(world) == [("ada", "phone")]
