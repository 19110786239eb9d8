"""What is on disk: shared by processes, kept over restarts, for its owner only."""

import asyncio
import shutil
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli.tests.issuer.asking import OIDC, Clock, asking, running
from petit.cli.issuer import Settings, Unusable, rotate, user_id
from petit.contracts.problems import Code, Refused


async def test_tokens_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    async with asking(tmp_path, clock=clock) as ask:
        tokens = await ask.log_in("ada")

    async with asking(tmp_path, clock=clock) as ask:
        assert (await ask.who(tokens)).username == "ada"
        assert (await ask.refresh(tokens["refresh_token"])).status_code == 200


async def test_people_have_the_same_id_after_everything_was_deleted(tmp_path: Path, clock: Clock) -> None:
    async with asking(tmp_path, clock=clock) as ask:
        before = await ask.log_in("ada")
        first = await ask.who(before)
    shutil.rmtree(tmp_path / "issuer")

    async with asking(tmp_path, clock=clock) as ask:
        second = await ask.who(await ask.log_in("ada"))
        with pytest.raises(Refused) as refused:
            await ask.who(before)

    assert first.user == second.user == user_id("ada") == "74e07a3d-5555-55bd-8891-1d67163acc72"
    assert refused.value.code is Code.TOKEN_INVALID


async def test_people_made_on_demand_are_kept(tmp_path: Path, clock: Clock) -> None:
    async with asking(tmp_path, clock=clock) as ask:
        service = await ask.service((tmp_path / "issuer" / "gateway.secret").read_text().strip())
        body = {"username": "fay", "credentials": [{"type": "password", "value": "fay"}]}
        await ask.http.post("/admin/realms/petit/users", json=body, headers=service)

    async with asking(tmp_path, clock=clock) as ask:
        assert (await ask.who(await ask.log_in("fay"))).username == "fay"


def test_only_the_owner_reads_the_files(tmp_path: Path, clock: Clock) -> None:
    with running(tmp_path, clock=clock):
        folder = tmp_path / "issuer"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}

    assert modes == {
        "issuer": 0o700,
        "issuer.db": 0o600,
        "issuer.db-shm": 0o600,
        "issuer.db-wal": 0o600,
        "gateway.secret": 0o600,
        "lock": 0o600,
    }


async def test_no_password_or_code_is_on_disk(tmp_path: Path, clock: Clock) -> None:
    secret = "correct horse battery staple"
    async with asking(tmp_path, clock=clock) as ask:
        service = await ask.service((tmp_path / "issuer" / "gateway.secret").read_text().strip())
        body = {"username": "fay", "credentials": [{"type": "password", "value": secret}]}
        await ask.http.post("/admin/realms/petit/users", json=body, headers=service)
        tokens = (await ask.token(grant_type="password", username="fay", password=secret)).json()
        code = await ask.code()
        written = b"".join(path.read_bytes() for path in (tmp_path / "issuer").iterdir())

    assert b"fay" in written
    for plain in (secret, code, tokens["access_token"], tokens["refresh_token"]):
        assert plain.encode() not in written


def test_processes_that_start_together_agree(tmp_path: Path, clock: Clock) -> None:
    async def kids_and_token() -> tuple[tuple[str, ...], str]:
        async with asking(tmp_path, clock=clock) as ask:
            keys = (await ask.http.get(f"{OIDC}/certs")).json()["keys"]
            return tuple(key["kid"] for key in keys), (await ask.who(await ask.log_in("ada"))).user

    with ThreadPoolExecutor(8) as starting:
        found = list(starting.map(lambda _: asyncio.run(kids_and_token()), range(8)))

    assert len(set(found)) == 1
    assert len(found[0][0]) == 1


async def test_a_log_in_at_one_process_goes_on_at_another(tmp_path: Path, clock: Clock) -> None:
    async with asking(tmp_path, clock=clock) as one, asking(tmp_path, clock=clock) as other:
        tokens = await one.log_in("ada")

        assert (await other.who(tokens)).username == "ada"
        assert (await other.refresh(tokens["refresh_token"])).status_code == 200
        form = {"client_id": "petit-web", "refresh_token": tokens["refresh_token"]}
        assert (await other.http.post(f"{OIDC}/logout", data=form)).status_code == 204
        assert (await one.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_many_log_ins_at_several_processes_wait_for_one_another(tmp_path: Path, clock: Clock) -> None:
    settings = Settings(logins_per_s=1_000)
    async with (
        asking(tmp_path, clock=clock, settings=settings) as one,
        asking(tmp_path, clock=clock, settings=settings) as other,
    ):
        tokens = await asyncio.gather(*(ask.log_in(name) for ask in (one, other) for name in ("ada", "bob") * 10))

    assert len({each["session_state"] for each in tokens}) == 40


async def test_a_rotated_key_signs_at_once_and_the_old_one_is_listed_while_its_tokens_last(
    tmp_path: Path, clock: Clock
) -> None:
    async with asking(tmp_path, clock=clock) as ask:
        before = await ask.log_in("ada")
        (old,) = [key["kid"] for key in (await ask.http.get(f"{OIDC}/certs")).json()["keys"]]

        new = rotate(tmp_path, clock=clock)

        after = await ask.log_in("ada")
        listed = [key["kid"] for key in (await ask.http.get(f"{OIDC}/certs")).json()["keys"]]
        assert listed == [new, old]
        assert (await ask.who(before)).username == (await ask.who(after)).username == "ada"

        clock.time += 700
        listed = [key["kid"] for key in (await ask.http.get(f"{OIDC}/certs")).json()["keys"]]
        assert listed == [new]
        assert (await ask.refresh(before["refresh_token"])).status_code == 200


async def test_new_data_may_sign_with_es256(tmp_path: Path, clock: Clock) -> None:
    async with asking(tmp_path, clock=clock, settings=Settings(algorithm="ES256", token_s=60)) as ask:
        tokens = await ask.log_in("ada")

        assert tokens["expires_in"] == 60
        assert (await ask.who(tokens)).expires_at == clock.time + 60


@pytest.mark.parametrize("damage", [b"not a database" * 1_000, None])
def test_damaged_data_is_named_with_what_to_do(tmp_path: Path, clock: Clock, damage: bytes | None) -> None:
    with running(tmp_path, clock=clock):
        pass
    path = tmp_path / "issuer" / "issuer.db"
    if damage is None:
        whole = bytearray(path.read_bytes())
        whole[4096 : len(whole)] = b"\xa5" * (len(whole) - 4096)
        damage = bytes(whole)
    path.write_bytes(damage)

    with pytest.raises(Unusable, match=r"issuer\.db cannot be used .* move it away"), running(tmp_path, clock=clock):
        pass

    path.unlink()
    with running(tmp_path, clock=clock):
        pass


async def test_a_file_that_cannot_be_used_is_an_outage(tmp_path: Path, clock: Clock) -> None:
    async with asking(tmp_path, clock=clock) as ask:
        tokens = await ask.log_in("ada")
        with sqlite3.connect(tmp_path / "issuer" / "issuer.db") as meddling:
            meddling.execute("ALTER TABLE sessions RENAME TO elsewhere")
        answer = await ask.refresh(tokens["refresh_token"])
        with sqlite3.connect(tmp_path / "issuer" / "issuer.db") as mending:
            mending.execute("ALTER TABLE elsewhere RENAME TO sessions")
        mended = await ask.refresh(tokens["refresh_token"])
        meddling.close()
        mending.close()

    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert mended.status_code == 200
