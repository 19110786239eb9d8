"""Where keys come from: discovery, rotation, floods and outages."""

import asyncio

import httpx2
import pytest

from kit.tests.auth.minting import CERTS, ISSUER, POLICY, START, Clock, MemoryIssuer, accepted
from petit.contracts.problems import Code, Refused, Unavailable
from petit.kit.auth import Keys, Refetch, Verifier

DISCOVERY = f"{ISSUER}/.well-known/openid-configuration"


async def refused(verifier: Verifier, token: bytes) -> bool:
    try:
        await verifier.verify(token)
    except Unavailable:
        return False
    except Refused as refusal:
        return refusal.code is Code.TOKEN_INVALID
    return False


async def test_nothing_is_fetched_before_the_first_token(issuer: MemoryIssuer) -> None:
    verifier = issuer.verifier()
    assert issuer.asked == []

    await verifier.verify(issuer.mint())

    assert issuer.asked == [DISCOVERY, CERTS]


async def test_who_has_never_seen_a_key_says_so_and_who_has_goes_on_without_the_issuer(
    verifier: Verifier, issuer: MemoryIssuer, clock: Clock
) -> None:
    issuer.down = True
    before = await verifier.unkeyed()
    issuer.down = False
    seen = await verifier.unkeyed()
    issuer.down = True
    fetches = len(issuer.asked)
    clock.time += 100_000

    assert before == f"the keys of {ISSUER} cannot be fetched"
    assert seen is None
    assert await verifier.unkeyed() is None
    assert len(issuer.asked) == fetches, "keys that are here are not asked for"


async def test_who_waits_for_a_key_asks_no_oftener_than_agreed(
    verifier: Verifier, issuer: MemoryIssuer, clock: Clock
) -> None:
    issuer.down = True
    for _ in range(100):
        await verifier.unkeyed()
    at_once = len(issuer.asked)
    clock.time += 2.1
    await asyncio.gather(*(verifier.unkeyed() for _ in range(100)))

    assert at_once == Refetch().burst
    assert len(issuer.asked) == at_once + 1


async def test_many_first_tokens_make_one_fetch(verifier: Verifier, issuer: MemoryIssuer) -> None:
    await asyncio.gather(*(verifier.verify(issuer.mint()) for _ in range(50)))

    assert issuer.key_fetches == 1


async def test_a_rotated_key_needs_no_restart(verifier: Verifier, issuer: MemoryIssuer) -> None:
    await verifier.verify(issuer.mint())
    issuer.add_rsa("second")

    assert await accepted(verifier, issuer.mint(kid="second"))
    assert await accepted(verifier, issuer.mint(kid="first"))
    assert issuer.key_fetches == 2


async def test_a_withdrawn_key_is_refused_once_the_keys_are_fetched_again(
    verifier: Verifier, issuer: MemoryIssuer, clock: Clock
) -> None:
    await verifier.verify(issuer.mint())
    issuer.add_rsa("second")
    del issuer.listed[0]
    assert await accepted(verifier, issuer.mint(kid="first"))

    clock.time += 301

    assert await refused(verifier, issuer.mint(kid="first"))
    assert await accepted(verifier, issuer.mint(kid="second"))


async def test_one_unknown_key_id_is_asked_for_once(verifier: Verifier, issuer: MemoryIssuer, clock: Clock) -> None:
    await verifier.verify(issuer.mint())
    stranger = MemoryIssuer(clock)
    stranger.add_rsa("unheard-of")

    for _ in range(100):
        assert await refused(verifier, stranger.mint(kid="unheard-of"))
    assert issuer.key_fetches == 2

    clock.time += 31
    assert await refused(verifier, stranger.mint(kid="unheard-of"))
    assert issuer.key_fetches == 3


async def test_a_flood_of_unknown_key_ids_makes_a_bounded_number_of_fetches(
    verifier: Verifier, issuer: MemoryIssuer, clock: Clock
) -> None:
    await verifier.verify(issuer.mint())
    forged = issuer.mint()

    for second in range(10):
        clock.time = START + second
        tokens = [issuer.mint(header={"kid": f"made-up-{second}-{n}"}) for n in range(100)]
        assert all(await asyncio.gather(*(refused(verifier, token) for token in tokens)))

    assert issuer.key_fetches <= 5 + 10 / 2
    assert len(issuer.asked) == issuer.key_fetches + 1
    assert await accepted(verifier, forged)


async def test_a_rotation_during_a_flood_is_seen_within_one_refill(
    verifier: Verifier, issuer: MemoryIssuer, clock: Clock
) -> None:
    for n in range(50):
        await refused(verifier, issuer.mint(header={"kid": f"made-up-{n}"}))
    issuer.add_rsa("second")
    assert await refused(verifier, issuer.mint(kid="second"))

    clock.time += 2

    assert await accepted(verifier, issuer.mint(kid="second"))


async def test_what_is_remembered_of_unknown_key_ids_is_bounded(issuer: MemoryIssuer, clock: Clock) -> None:
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(issuer.answer))
    keys = Keys(ISSUER, client=client, refetch=Refetch(burst=3_000, unknown_s=1e9), clock=clock)

    for n in range(1_001):
        assert await keys.find(f"made-up-{n}") is None
    fetches = issuer.key_fetches

    assert await keys.find("made-up-1000") is None
    assert issuer.key_fetches == fetches
    assert await keys.find("made-up-0") is None
    assert issuer.key_fetches == fetches + 1


async def test_an_issuer_that_is_down_at_first_is_an_outage_and_not_a_refusal(
    verifier: Verifier, issuer: MemoryIssuer, clock: Clock
) -> None:
    issuer.down = True
    for _ in range(50):
        with pytest.raises(Unavailable) as outage:
            await verifier.verify(issuer.mint())
        assert (outage.value.status, outage.value.retry_after) == (503, 1)
    assert len(issuer.asked) == 5

    issuer.down = False
    clock.time += 2

    assert await accepted(verifier, issuer.mint())


async def test_known_keys_are_used_while_the_issuer_is_down(
    verifier: Verifier, issuer: MemoryIssuer, clock: Clock
) -> None:
    await verifier.verify(issuer.mint())
    issuer.down = True
    issuer.add_rsa("second")
    for _ in range(20):
        clock.time += 100
        assert await accepted(verifier, issuer.mint())

    with pytest.raises(Unavailable):
        await verifier.verify(issuer.mint(kid="second"))

    issuer.down = False
    assert await accepted(verifier, issuer.mint(kid="second"))


async def test_known_keys_do_not_wait_for_a_fetch_that_hangs(issuer: MemoryIssuer, clock: Clock) -> None:
    hanging, release = asyncio.Event(), asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if clock.time > START:
            hanging.set()
            await release.wait()
        return issuer.answer(request)

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    verifier = Verifier(POLICY, keys=Keys(ISSUER, client=client, clock=clock), clock=clock)
    await verifier.verify(issuer.mint())
    clock.time += 301

    first = asyncio.create_task(verifier.verify(issuer.mint()))
    await hanging.wait()
    assert await accepted(verifier, issuer.mint())
    assert not first.done()

    release.set()
    assert (await first).user == "ada-id"


async def test_a_fetch_that_takes_too_long_is_an_outage() -> None:
    async def answer(_: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    keys = Keys(ISSUER, client=client, refetch=Refetch(timeout_s=0.01), clock=Clock())

    with pytest.raises(Unavailable):
        await keys.find("first")


async def test_a_caller_who_goes_away_does_not_decide_for_the_others(issuer: MemoryIssuer, clock: Clock) -> None:
    hanging, release = asyncio.Event(), asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        hanging.set()
        await release.wait()
        return issuer.answer(request)

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    keys = Keys(ISSUER, client=client, clock=clock)
    first = asyncio.create_task(keys.find("first"))
    await hanging.wait()
    second = asyncio.create_task(keys.find("first"))
    await asyncio.sleep(0)

    first.cancel()
    release.set()

    assert await second is not None


@pytest.mark.parametrize(
    "answer",
    [
        (DISCOVERY, httpx2.Response(500)),
        (DISCOVERY, httpx2.Response(302, headers={"location": CERTS})),
        (DISCOVERY, httpx2.Response(200, content=b"<html>")),
        (DISCOVERY, httpx2.Response(200, json={"issuer": "https://evil.test", "jwks_uri": CERTS})),
        (DISCOVERY, httpx2.Response(200, json={"issuer": ISSUER})),
        (DISCOVERY, httpx2.Response(200, json={"issuer": ISSUER, "jwks_uri": "nonsense"})),
        (DISCOVERY, httpx2.Response(200, json={"issuer": ISSUER, "jwks_uri": "http://[broken"})),
        (CERTS, httpx2.Response(503)),
        (CERTS, httpx2.Response(200, content=b"[" * 100_000)),
        (CERTS, httpx2.Response(200, content=b" " * 300_000)),
        (CERTS, httpx2.Response(200, json={"keys": []})),
        (CERTS, httpx2.Response(200, json={"keys": [{"kid": "first", "kty": "oct", "k": "AAAA", "alg": "HS256"}]})),
        (CERTS, httpx2.Response(200, json={"keys": [{"kid": "first", "kty": "RSA", "n": 7, "e": "AQAB"}]})),
        (
            CERTS,
            httpx2.Response(200, json={"keys": [{"kid": "first", "kty": "EC", "crv": "P-256", "x": "A", "y": "A"}]}),
        ),
    ],
    ids=lambda answer: f"{answer[0].rpartition('/')[2]} {answer[1].status_code} {answer[1].text[:80]}",
)
async def test_an_answer_that_makes_no_sense_is_an_outage(
    verifier: Verifier, issuer: MemoryIssuer, answer: tuple[str, httpx2.Response]
) -> None:
    url, response = answer
    issuer.answers[url] = response

    with pytest.raises(Unavailable):
        await verifier.verify(issuer.mint())

    issuer.answers.clear()
    assert await accepted(verifier, issuer.mint())


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_only_signing_keys_of_our_algorithms_are_taken(issuer: MemoryIssuer) -> None:
    issuer.listed[0] |= {"x5c": ["MII"], "x5t": "abc"}
    issuer.add_rsa("encryption")
    issuer.listed[1] |= {"use": "enc", "alg": "RSA-OAEP"}
    issuer.add_rsa("short", bits=1024)
    issuer.add_rsa("longer-hash")
    issuer.listed[3] |= {"alg": "RS512"}
    verifier = issuer.verifier()

    assert await accepted(verifier, issuer.mint(kid="first"))
    for kid in ("encryption", "short", "longer-hash"):
        assert await refused(verifier, issuer.mint(kid=kid))


async def test_an_issuer_is_asked_where_it_is_reached_and_named_as_in_tokens(
    issuer: MemoryIssuer, clock: Clock
) -> None:
    inside = "http://keycloak:8080/realms/petit"
    issuer.answers = {
        f"{inside}/.well-known/openid-configuration": httpx2.Response(
            200, json={"issuer": ISSUER, "jwks_uri": f"{inside}/certs"}
        ),
        f"{inside}/certs": httpx2.Response(200, json={"keys": issuer.listed}),
    }
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(issuer.answer))
    keys = Keys(ISSUER, realm=inside, client=client, clock=clock)

    assert await accepted(Verifier(POLICY, keys=keys, clock=clock), issuer.mint())
    assert issuer.asked == [f"{inside}/.well-known/openid-configuration", f"{inside}/certs"]


async def test_who_is_reached_inside_and_calls_itself_otherwise_is_not_believed(
    issuer: MemoryIssuer, clock: Clock
) -> None:
    inside = "http://keycloak:8080/realms/petit"
    issuer.answers = {
        f"{inside}/.well-known/openid-configuration": httpx2.Response(
            200, json={"issuer": inside, "jwks_uri": f"{inside}/certs"}
        ),
    }
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(issuer.answer))
    keys = Keys(ISSUER, realm=inside, client=client, clock=clock)

    with pytest.raises(Unavailable):
        await Verifier(POLICY, keys=keys, clock=clock).verify(issuer.mint())
