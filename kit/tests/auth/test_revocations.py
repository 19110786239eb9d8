"""A log-in that is over is over for all its tokens, on every edge, and after a restart."""

import time
import uuid

import pytest

from kit.tests.auth.minting import START, Clock, MemoryIssuer, accepted
from petit.contracts.ids import SignalId, UserId, timestamp
from petit.contracts.problems import Code, Refused
from petit.contracts.signals import SessionRevoked, SessionRevokedData, encode
from petit.contracts.subjects import SESSION_REVOKED, person_signal
from petit.kit.auth import Revocations, Verifier, recall
from petit.kit.auth.revocations import KEEP_S
from petit.kit.connection import Connection
from petit.kit.log import Log

ADA, BOB = UserId("ada-id"), UserId("bob-id")


def revoked(session: str | None, *, at: float = START, person: UserId = ADA) -> SessionRevoked:
    return SessionRevoked(
        id=SignalId(str(uuid.uuid4())),
        by=person,
        person=person,
        at=timestamp(int(at * 1000)),
        data=SessionRevokedData(session=session),
    )


async def refused(verifier: Verifier, token: bytes) -> bool:
    try:
        return not await accepted(verifier, token)
    except Refused as refusal:
        return refusal.code is Code.TOKEN_INVALID


async def test_tokens_of_a_session_that_is_over_are_refused_known_or_not(
    verifier: Verifier, issuer: MemoryIssuer
) -> None:
    known, new, other = issuer.mint(), issuer.mint(), issuer.mint(sid="session-2")
    await verifier.verify(known)

    verifier.revocations.add(revoked("session-1"))

    assert verifier.cached(known) is None
    assert await refused(verifier, known)
    assert await refused(verifier, new)
    assert await accepted(verifier, other)


async def test_all_of_somebodys_sessions_are_those_begun_until_then(
    verifier: Verifier, issuer: MemoryIssuer, clock: Clock
) -> None:
    before, of_bob = issuer.mint(), issuer.mint(sub=BOB)
    clock.time += 5
    after = issuer.mint()

    verifier.revocations.add(revoked(None, at=START + 1))

    assert await refused(verifier, before)
    assert await accepted(verifier, after)
    assert (await verifier.verify(of_bob)).user == BOB


async def test_an_older_word_does_not_undo_a_newer(clock: Clock) -> None:
    known = Revocations(clock=clock)
    known.add(revoked(None, at=START))
    known.add(revoked(None, at=START - 60))

    assert known.covers(user=ADA, session="s", issued_at=START - 1)


async def test_what_no_token_can_outlive_is_forgotten(clock: Clock) -> None:
    known = Revocations(clock=clock)
    known.add(revoked("old"))
    clock.time += KEEP_S + 1
    known.add(revoked("new", at=clock.time))
    known.add(revoked("from a log that is replayed"))

    assert not known.covers(user=ADA, session="old", issued_at=START)
    assert not known.covers(user=ADA, session="from a log that is replayed", issued_at=START)
    assert known.covers(user=ADA, session="new", issued_at=START)


async def test_a_token_that_outlives_that_memory_is_not_taken(verifier: Verifier, issuer: MemoryIssuer) -> None:
    assert await accepted(verifier, issuer.mint(exp=START + 3_600))
    assert await refused(verifier, issuer.mint(exp=START + 3_601))


async def test_so_many_are_known_and_the_oldest_are_forgotten(clock: Clock) -> None:
    known = Revocations(clock=clock, capacity=3)
    for number in range(5):
        known.add(revoked(f"session-{number}"))

    assert [known.covers(user=ADA, session=f"session-{number}", issued_at=START) for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("subject", "payload"),
    [
        (person_signal(ADA, SESSION_REVOKED), b"garbage"),
        (person_signal(ADA, SESSION_REVOKED), encode(revoked("s")).replace(b"session.revoked", b"session.renamed")),
        (person_signal(ADA, "profile"), encode(revoked("s"))),
    ],
)
def test_what_does_not_say_it_ends_nothing(clock: Clock, subject: str, payload: bytes) -> None:
    known = Revocations(clock=clock)

    assert known.learn(subject, payload) is None
    assert not known.covers(user=ADA, session="s", issued_at=START)


async def test_who_starts_learns_what_the_log_says(nc: Connection, log: Log, clock: Clock) -> None:
    for signal in (revoked("session-1"), revoked(None, person=BOB)):
        await log.append(person_signal(signal.person, SESSION_REVOKED), encode(signal), msg_id=signal.id)
        await log.append("signal.1.person.ada-id.profile", b"{}", msg_id=f"profile-{signal.id}")
    known = Revocations(clock=clock)

    await recall(nc, known, name="test")

    assert known.covers(user=ADA, session="session-1", issued_at=START)
    assert known.covers(user=BOB, session="another", issued_at=START)
    assert not known.covers(user=ADA, session="session-2", issued_at=START)


class Counted(Revocations):
    """Counts what it is told."""

    told = 0

    def learn(self, subject: str, payload: bytes) -> SessionRevoked | None:
        self.told += 1
        return super().learn(subject, payload)


@pytest.mark.parametrize(("later_s", "read"), [(0.0, 40), (KEEP_S, 40), (KEEP_S + 120, 0)])
async def test_what_was_stored_before_any_token_that_is_good_is_not_even_read(
    nc: Connection, log: Log, clock: Clock, *, later_s: float, read: int
) -> None:
    for number in range(40):
        signal = revoked(f"session-{number}", at=time.time())
        await log.append(person_signal(ADA, SESSION_REVOKED), encode(signal), msg_id=signal.id)
    clock.time = time.time() + later_s
    known = Counted(clock=clock)

    await recall(nc, known, name="test")

    assert known.told == read


@pytest.mark.usefixtures("log")
async def test_an_empty_log_has_nothing_to_tell(nc: Connection, clock: Clock) -> None:
    await recall(nc, Revocations(clock=clock), name="test")
