"""`petit doctor --stack real`: well where all is well, and for each failure that is planted, what to do about it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from kit.tests.reading import SUBJECT
from petit.kit.jetstream import JetStream
from petit.kit.log import Log
from petit.kit.ports import free_port
from petit.kit.serving import listen, serving
from tests.nats.cluster import USERS, Cluster, cluster, password_of
from tests.nats.test_bootstrap import petit

REALM = "/realms/petit"


class Keycloak:
    """As much of one as the doctor asks, and as wrong as it is told to be."""

    def __init__(self) -> None:
        self.url = ""
        self.issuer = ""
        self.keys: list[dict[str, str]] = [{"kid": "k", "use": "sig"}]
        self.token_status = 200
        self.users_status = 200

    async def discovery(self, _: Request) -> JSONResponse:
        """Say who it is."""
        realm = f"{self.url}{REALM}"
        return JSONResponse({"issuer": self.issuer, "jwks_uri": f"{realm}/certs", "token_endpoint": f"{realm}/token"})

    async def certs(self, _: Request) -> JSONResponse:
        """Show the keys."""
        return JSONResponse({"keys": self.keys})

    async def token(self, _: Request) -> JSONResponse:
        """Give a token, or none."""
        return JSONResponse({"access_token": "t"}, status_code=self.token_status)

    async def users(self, _: Request) -> JSONResponse:
        """List nobody, or refuse to."""
        return JSONResponse([], status_code=self.users_status)


@asynccontextmanager
async def keycloak() -> AsyncIterator[Keycloak]:
    """Serve one that is well."""
    made = Keycloak()
    app = Starlette(
        routes=[
            Route(f"{REALM}/.well-known/openid-configuration", made.discovery),
            Route(f"{REALM}/certs", made.certs),
            Route(f"{REALM}/token", made.token, methods=["POST"]),
            Route(f"/admin{REALM}/users", made.users),
        ]
    )
    async with serving(app, sock=listen("127.0.0.1", port=0)) as port:
        made.url = f"http://127.0.0.1:{port}"
        made.issuer = f"{made.url}{REALM}"
        yield made


async def examined(made: Cluster, **more: str) -> tuple[int, dict[str, str]]:
    """Return the doctor's exit code, and what it says of each part that is not well; of all parts if all are."""
    passwords = {f"NATS_{user.upper()}_PASSWORD": password_of(user) for user in USERS}
    environment = {**passwords, "PETIT_DOCTOR_NATS_URL": made.url, **more}
    code, out, err = await petit("doctor", "--stack", "real", "--json", **environment)
    assert "Traceback" not in err, err
    findings = [json.loads(line) for line in out.splitlines()]
    ill = {finding["part"]: finding["says"] for finding in findings if not finding["well"]}
    return code, ill or {finding["part"]: finding["says"] for finding in findings}


async def test_where_all_is_well_it_says_so_of_each_part(nats: Cluster) -> None:
    async with keycloak() as realm:
        code, parts = await examined(
            nats,
            PETIT_DOCTOR_ISSUER=realm.issuer,
            PETIT_DOCTOR_ADMIN_URL=f"{realm.url}/admin{REALM}",
            PETIT_DOCTOR_DIRECTORY_SECRET="s3cret",
        )

    assert code == 0
    assert {f"nats {user}" for user in USERS} < set(parts)
    assert parts["log"].startswith("3 replicas on nats-0, nats-1, nats-2; whether each write reaches the disk")
    assert parts["notifier"] == "is refused to publish signals"
    assert parts["search"] == "is refused to read what is to one person"
    assert parts["database"].startswith("not looked at")
    assert {"petit", "tickets", "leases", "epoch", "clock", "issuer", "keys", "directory"} < set(parts)


async def test_a_password_that_the_servers_do_not_know(nats: Cluster) -> None:
    code, ill = await examined(nats, NATS_CHAT_PASSWORD="other")

    assert code == 1
    assert set(ill) == {"nats chat"}
    assert "compare NATS_CHAT_PASSWORD" in ill["nats chat"]


async def test_a_node_that_is_down(nats: Cluster) -> None:
    leader = await nats.leader()
    down = next(node for node in nats.nodes if node is not leader)
    down.kill()

    async with asyncio.timeout(40):
        while (await examined(nats))[0] == 0:
            pass
    _, ill = await examined(nats)

    assert f"{down.name} is not up to date" in ill["log"]


async def test_too_few_replicas_and_what_was_never_made(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        code, ill = await examined(made)
        assert code == 1
        assert set(ill) == {"log", "petit", "tickets", "leases", "epoch", "clock"}
        assert all("petit bootstrap" in ill[part] for part in ("petit", "tickets", "leases", "epoch"))

        await made.bootstrap(replicas=1)
        code, ill = await examined(made)
    assert code == 1
    assert "1 of 3 replicas: run `petit bootstrap` with PETIT_BOOTSTRAP_REPLICAS=3" in ill["log"]


async def test_a_log_that_is_nearly_full_and_one_without_a_bound(nats: Cluster) -> None:
    code, parts = await examined(nats)
    assert code == 0
    assert "it has no bound but the disks" in parts["log"]

    async with nats.connected("gateway") as gateway, nats.connected("operator") as operator:
        await Log(gateway).append(SUBJECT, os.urandom(1_000_000), msg_id="1")
        js = JetStream(operator)
        state = await js.stream("SIGNALS")
        assert state is not None
        await js.update_stream({**state.config, "max_bytes": state.size + 1_000})
        code, ill = await examined(nats)
        assert code == 1
        assert f"it has {state.size} of {state.size + 1_000} bytes" in ill["log"]

        await js.update_stream({**state.config, "max_bytes": state.size * 2})
        code, parts = await examined(nats)
    assert code == 0
    assert "bound" not in parts["log"]


async def test_a_log_that_is_compressed_in_a_cluster_until_bootstrap_runs_again(nats: Cluster) -> None:
    """ADR 0013: its nodes could not recover it after a crash."""
    async with nats.connected("operator") as operator:
        js = JetStream(operator)
        state = await js.stream("SIGNALS")
        assert state is not None
        await js.update_stream({**state.config, "compression": "s2"})
    code, ill = await examined(nats)
    assert code == 1
    assert "compression is not as it was made: run `petit bootstrap`" in ill["log"]

    await nats.bootstrap()
    code, parts = await examined(nats)
    assert code == 0
    assert "compression" not in parts["log"]


async def test_users_who_may_do_more_than_theirs(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        for node in made.nodes:
            node.kill()
            config = node.folder / "nats.conf"
            config.write_text(config.read_text().replace('"rpc.chat.>"', '"rpc.chat.>", "signal.>", "$JS.API.>"'))
            node.start()
        await made.healthy()
        await made.bootstrap()

        code, ill = await examined(made)

        assert code == 1
        assert set(ill) == {"notifier", "search"}
        assert "may publish signals" in ill["notifier"]
        async with made.connected("operator") as nc:
            assert (
                json.loads(await nc.replies.insist("$JS.API.STREAM.INFO.SIGNALS", within=5))["state"]["messages"] == 0
            )


@pytest.mark.timeout(300)
async def test_a_log_without_a_leader_is_no_refusal(tmp_path: Path) -> None:
    async with cluster(tmp_path) as made:
        await made.bootstrap()
        *others, last = made.nodes
        for node in others:
            node.kill()
        said: dict[str, str] = {}
        async with asyncio.timeout(120):  # the doctor takes 25 s to be sure, and looks at the leader first
            while "majority" not in said.get("log", ""):
                _, said = await examined(made, PETIT_DOCTOR_NATS_URL=last.url)
        assert not {"notifier", "search"} & set(said), "who is refused is told so by any node"

        last.kill()
        config = last.folder / "nats.conf"
        config.write_text(config.read_text().replace('"rpc.chat.>"', '"rpc.chat.>", "signal.>", "$JS.API.>"'))
        last.start()
        said = {}
        async with asyncio.timeout(120):
            while "notifier" not in said:  # it is looked at once that user is let in
                _, said = await examined(made, PETIT_DOCTOR_NATS_URL=last.url)

    assert all("cannot be seen" in said[part] for part in ("notifier", "search"))


async def test_a_database_that_does_not_answer(nats: Cluster) -> None:
    port = str(free_port())

    code, ill = await examined(nats, PETIT_DOCTOR_CQL_HOSTS="127.0.0.1", PETIT_DOCTOR_CQL_PORT=port)

    assert code == 1
    assert set(ill) == {"database"}
    assert port in ill["database"]


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ({"issuer": "https://elsewhere/realms/petit"}, ("issuer", "set KC_HOSTNAME")),
        ({"keys": []}, ("keys", "no key that signs")),
        ({"token_status": 401}, ("directory", "compare PETIT_GATEWAY_DIRECTORY_SECRET")),
        ({"users_status": 403}, ("directory", "view-users")),
    ],
)
async def test_a_realm_that_is_not_as_services_need_it(
    nats: Cluster, planted: dict[str, object], found: tuple[str, str]
) -> None:
    part, words = found
    async with keycloak() as realm:
        issuer = realm.issuer
        for name, value in planted.items():
            setattr(realm, name, value)
        code, ill = await examined(
            nats,
            PETIT_DOCTOR_ISSUER=issuer,
            PETIT_DOCTOR_ADMIN_URL=f"{realm.url}/admin{REALM}",
            PETIT_DOCTOR_DIRECTORY_SECRET="s3cret",
        )

    assert code == 1
    assert set(ill) == {part}
    assert words in ill[part]
