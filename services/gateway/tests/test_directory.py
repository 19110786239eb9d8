"""One suite for every directory; and what only the one over Keycloak has to survive."""

import pytest

from petit.contracts.ids import UserId
from petit.contracts.problems import Unavailable
from petit.gateway.adapters.directory import KeycloakDirectory
from petit.gateway.ports import Directory
from services.gateway.tests.keycloak import REALM, FakeKeycloak
from services.gateway.tests.memory import MemoryClock, MemoryDirectory

NAMES = ("ada", "adam", "adele", "bob", "cat")


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def sso() -> FakeKeycloak:
    return FakeKeycloak(*NAMES)


@pytest.fixture(params=["memory", "keycloak"])
def directory(request: pytest.FixtureRequest, sso: FakeKeycloak, clock: MemoryClock) -> Directory:
    if request.param == "memory":
        return MemoryDirectory(*NAMES)
    return KeycloakDirectory(REALM, client=sso.client(), clock=clock)


async def names(directory: Directory, prefix: str, *, limit: int) -> list[str]:
    found, start = [], 0
    while True:
        page = await directory.find(prefix, start=start, limit=limit)
        assert len(page.items) <= limit
        found += [person.username for person in page.items]
        if page.next is None:
            return found
        start = page.next


@pytest.mark.parametrize("limit", [1, 2, 50])
@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", list(NAMES)),
        ("ad", ["ada", "adam", "adele"]),
        ("AD", ["ada", "adam", "adele"]),
        ("adam", ["adam"]),
        ("zoe", []),
        ("d", []),
        ("*", []),
        ('"ada"', []),
        ("ada bob", []),
    ],
)
async def test_people_are_found_by_the_beginning_of_their_username(
    directory: Directory, *, prefix: str, expected: list[str], limit: int
) -> None:
    assert await names(directory, prefix, limit=limit) == expected


async def test_somebody_by_id(directory: Directory) -> None:
    person = await directory.get(UserId("ada"))

    assert person is not None
    assert (person.id, person.username, person.name) == ("ada", "ada", "Ada")
    assert await directory.get(UserId("zoe")) is None


async def test_who_is_found_only_by_name_is_left_out(sso: FakeKeycloak, clock: MemoryClock) -> None:
    sso.users += [{"id": "x1", "username": "countess", "firstName": "Ada"}]
    directory = KeycloakDirectory(REALM, client=sso.client(), clock=clock)

    assert await names(directory, "ada", limit=10) == ["ada", "adam"]


async def test_a_long_realm_is_paged_through(clock: MemoryClock) -> None:
    sso = FakeKeycloak(*(f"user{number:04}" for number in range(450)))
    directory = KeycloakDirectory(REALM, client=sso.client(), clock=clock)

    assert len(await names(directory, "", limit=200)) == 450
    assert await names(directory, "user044", limit=3) == [f"user{number:04}" for number in range(440, 450)]


async def test_one_service_token_serves_until_it_ends(sso: FakeKeycloak, clock: MemoryClock) -> None:
    directory = KeycloakDirectory(REALM, client=sso.client(), clock=clock)
    for user in NAMES:
        await directory.get(UserId(user))
    assert sso.tokens_made == 1

    clock.forward(seconds=280)
    await directory.get(UserId("bob"))
    assert sso.tokens_made == 2


async def test_a_service_token_that_is_forgotten_is_made_anew(sso: FakeKeycloak, clock: MemoryClock) -> None:
    directory = KeycloakDirectory(REALM, client=sso.client(), clock=clock)
    await directory.get(UserId("ada"))
    sso.good_tokens.clear()

    assert await directory.get(UserId("bob")) is not None


async def test_who_was_found_is_remembered_for_a_minute(sso: FakeKeycloak, clock: MemoryClock) -> None:
    directory = KeycloakDirectory(REALM, client=sso.client(), clock=clock)
    await directory.get(UserId("ada"))
    asked = len(sso.asked)

    await directory.get(UserId("ada"))
    assert len(sso.asked) == asked

    clock.forward(seconds=61)
    await directory.get(UserId("ada"))
    assert len(sso.asked) == asked + 1


@pytest.mark.parametrize("fault", ["unreachable", "garbage", "status 500", "status 401", "status 403"])
async def test_a_directory_that_does_not_answer_is_unavailable(
    sso: FakeKeycloak, clock: MemoryClock, fault: str
) -> None:
    directory = KeycloakDirectory(REALM, client=sso.client(), clock=clock)
    await directory.get(UserId("ada"))
    sso.unreachable, sso.garbage = fault == "unreachable", fault == "garbage"
    sso.status = int(fault.split()[1]) if fault.startswith("status") else None

    with pytest.raises(Unavailable):
        await directory.get(UserId("bob"))
    with pytest.raises(Unavailable):
        await directory.find("a", start=0, limit=10)
