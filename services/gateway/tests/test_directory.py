"""One suite for every directory; and what only the one over Keycloak has to survive."""

import base64
import random

import pytest

from petit.contracts.ids import UserId
from petit.contracts.problems import Code, Refused, Unavailable
from petit.gateway.ports import Directory
from services.gateway.tests.keycloak import FakeKeycloak
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
    return sso.directory(clock)


async def names(directory: Directory, prefix: str, *, limit: int) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        page = await directory.find(prefix, after=after, limit=limit)
        assert len(page.items) <= limit
        found += [person.username for person in page.items]
        if page.next is None:
            return found
        after = page.next


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
        ("ada@", []),
        ("ada@mail.test", []),
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
    directory = sso.directory(clock)

    assert await names(directory, "ada", limit=10) == ["ada", "adam"]


async def test_nobody_is_found_by_an_e_mail_address(sso: FakeKeycloak, clock: MemoryClock) -> None:
    sso.users += [
        {"id": "x1", "username": "secretive", "email": "jo.doe@mail.test"},
        {"id": "x2", "username": "jo@mail.test", "email": "jo@mail.test"},
        *({"id": f"j{number}", "username": f"jo.{number}"} for number in range(3)),
    ]
    directory = sso.directory(clock)

    assert await names(directory, "jo.doe", limit=10) == []
    assert await names(directory, "jo.doe@mail.test", limit=10) == []
    assert await names(directory, "jo", limit=10) == ["jo.0", "jo.1", "jo.2"]
    shown = await directory.get(UserId("x2"))
    assert shown is not None
    assert (shown.username, shown.name) == ("jo", "jo")


async def test_the_place_where_a_list_goes_on_tells_nothing(sso: FakeKeycloak, clock: MemoryClock) -> None:
    one, other = sso.directory(clock), sso.directory(clock)
    first = await one.find("ad", after=None, limit=1)

    assert first.next is not None
    for known in ("adam", "start", "last"):
        assert known.encode() not in base64.urlsafe_b64decode(first.next)
    assert [person.username for person in (await other.find("ad", after=first.next, limit=1)).items] == ["adam"]
    with pytest.raises(Refused) as refused:
        await one.find("ad", after=first.next[:-4] + "AAA=", limit=1)
    assert refused.value.code is Code.REQUEST_INVALID


@pytest.mark.parametrize("seed", range(20))
async def test_who_is_there_all_the_time_is_listed_once_whoever_comes_and_goes(clock: MemoryClock, seed: int) -> None:
    chance = random.Random(seed)
    sso = FakeKeycloak(*(f"u{number:03}" for number in range(0, 300, 3)))
    stay = {user["username"] for user in sso.users}
    directory, after, found = sso.directory(clock), None, list[str]()
    while True:
        page = await directory.find("u", after=after, limit=7)
        found += [person.username for person in page.items]
        after = page.next
        if after is None:
            break
        for _ in range(chance.randint(0, 40)):
            if chance.random() < 0.5:
                name = f"u{chance.randrange(300):03}"
                if all(user["username"] != name for user in sso.users):
                    sso.users.append({"id": name, "username": name})
            else:
                gone = chance.choice(sso.users)
                sso.users.remove(gone)
                stay.discard(gone["username"])

    assert [name for name in found if name in stay] == sorted(stay)


async def test_a_long_realm_is_paged_through(clock: MemoryClock) -> None:
    sso = FakeKeycloak(*(f"user{number:04}" for number in range(450)))
    directory = sso.directory(clock)

    assert len(await names(directory, "", limit=200)) == 450
    assert await names(directory, "user044", limit=3) == [f"user{number:04}" for number in range(440, 450)]


async def test_one_service_token_serves_until_it_ends(sso: FakeKeycloak, clock: MemoryClock) -> None:
    directory = sso.directory(clock)
    for user in NAMES:
        await directory.get(UserId(user))
    assert sso.tokens_made == 1

    clock.forward(seconds=280)
    await directory.get(UserId("bob"))
    assert sso.tokens_made == 2


async def test_a_service_token_that_is_forgotten_is_made_anew(sso: FakeKeycloak, clock: MemoryClock) -> None:
    directory = sso.directory(clock)
    await directory.get(UserId("ada"))
    sso.good_tokens.clear()

    assert await directory.get(UserId("bob")) is not None


async def test_who_was_found_is_remembered_for_a_minute(sso: FakeKeycloak, clock: MemoryClock) -> None:
    directory = sso.directory(clock)
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
    directory = sso.directory(clock)
    await directory.get(UserId("ada"))
    sso.unreachable, sso.garbage = fault == "unreachable", fault == "garbage"
    sso.status = int(fault.split()[1]) if fault.startswith("status") else None

    with pytest.raises(Unavailable):
        await directory.get(UserId("bob"))
    with pytest.raises(Unavailable):
        await directory.find("a", after=None, limit=10)
