"""R13: people found by username among as many as a town has, in a real Keycloak on PostgreSQL."""

import random
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx
import httpx2
import pytest

from petit.gateway.app import keycloak as issuer_of
from petit.gateway.ports import Directory
from petit.kit.clock import SystemClock
from tests.e2e.scale import scaled, within
from tests.real.edges import Realm
from tests.real.servers import Keycloak

pytestmark = [pytest.mark.real, pytest.mark.proof, within(300)]

PAGE: Final = 50
_TOGETHER: Final = 500
"""People in one import."""
_MOST_MOVES: Final = 20
"""People who come and go while a list is paged, one between two pages."""


@asynccontextmanager
async def _people(keycloak: Keycloak) -> AsyncIterator[tuple[Directory, Realm]]:
    async with httpx.AsyncClient(trust_env=False) as http, httpx2.AsyncClient(trust_env=False, timeout=120) as other:
        found = issuer_of(
            f"{keycloak.url}/admin/realms/petit",
            client="petit-gateway",
            secret=keycloak.gateway_secret,
            login_client="petit-login",
            login_secret=keycloak.login_secret,
            http=http,
            clock=SystemClock(),
        )
        yield found.directory, Realm(keycloak, other)


async def test_people_are_found_page_by_page_while_others_come_and_go(
    deployed_keycloak: Keycloak, figure: Callable[[str], None]
) -> None:
    """R13: each who stays is listed exactly once; what a page of 50 takes is told, not asserted."""
    chance = random.Random(13)
    count, word = scaled(1_000, full=100_000), f"t{secrets.token_hex(3)}"
    names = [f"{word}{number:06}" for number in range(count)]
    async with _people(deployed_keycloak) as (directory, realm):
        begun = time.monotonic()
        for first in range(0, count, _TOGETHER):
            some = [
                {"username": name, "enabled": True, "firstName": "T", "email": f"{name[::-1]}@mail.test"}
                for name in names[first : first + _TOGETHER]
            ]
            await realm.admin("POST", "/partialImport", json={"ifResourceExists": "FAIL", "users": some})
        figure(f"{count} people imported in {time.monotonic() - begun:.0f} s")

        took: list[float] = []

        async def listed(prefix: str, *, moves: int) -> list[str]:
            found, after = list[str](), None
            while True:
                begun = time.monotonic()
                page = await directory.find(prefix, after=after, limit=PAGE)
                took.append(time.monotonic() - begun)
                found += [person.username for person in page.items]
                after = page.next
                if after is None:
                    return found
                if moves:
                    moves -= 1
                    await _move(realm, names=names, word=word, chance=chance)

        stayed = set(names)
        found = await listed(word, moves=_MOST_MOVES)
        stayed &= set(names)
        assert [name for name in found if name in stayed] == sorted(stayed)
        assert len(set(found)) == len(found)
        figure(f"all of them in {len(took)} pages: {_spread(took)}")

        took.clear()
        for _ in range(scaled(20, full=200)):
            wanted = f"{word}{chance.randrange(count // 100):04}"
            assert await listed(wanted, moves=0) == sorted(name for name in names if name.startswith(wanted))
        figure(f"by a prefix that 100 have: {_spread(took)}")

        took.clear()
        for name in chance.sample(names, 20):
            assert await listed(name[::-1], moves=0) == [], "an e-mail address"
        figure(f"by the beginning of an e-mail address, nobody: {_spread(took)}")


async def _move(realm: Realm, *, names: list[str], word: str, chance: random.Random) -> None:
    """Have somebody come or go."""
    if chance.random() < 1 / 2:
        name = f"{word}{chance.randrange(len(names)):06}x"
        await realm.add(name)
        names.append(name)
        return
    name = names.pop(chance.randrange(len(names)))
    (found,) = (await realm.admin("GET", f"/users?username={name}&exact=true")).json()
    await realm.admin("DELETE", f"/users/{found['id']}")


def _spread(took: list[float]) -> str:
    cuts = statistics.quantiles(took, n=20)
    return f"p50 {cuts[9] * 1000:.0f} ms, p95 {cuts[-1] * 1000:.0f} ms, most {max(took) * 1000:.0f} ms"
