"""The servers that tests ask for are what they say."""

import httpx2
import nats
import nats.errors
import pytest
from nats.js.api import StreamConfig

from tests.e2e.waiting import eventually, until
from tests.real.servers import Cassandra, Keycloak, NatsCluster

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


def test_cassandra_answers_cql(cassandra: Cassandra) -> None:
    from cassandra.cluster import Cluster  # noqa: PLC0415 - imported, it picks its event loop

    with Cluster([cassandra.host], port=cassandra.port) as cluster, cluster.connect() as session:
        version = session.execute("SELECT release_version FROM system.local").one().release_version

    assert version.startswith(("4.1.", "5.0."))


def test_keycloak_has_our_realm_and_an_administrator(keycloak: Keycloak) -> None:
    realm = httpx2.get(f"{keycloak.url}/realms/petit/.well-known/openid-configuration", trust_env=False)
    form = {"client_id": "admin-cli", "grant_type": "password", "username": keycloak.admin_user}
    admin = httpx2.post(
        f"{keycloak.url}/realms/master/protocol/openid-connect/token",
        data=form | {"password": keycloak.admin_password},
        trust_env=False,
    )

    assert realm.json()["issuer"] == f"{keycloak.url}/realms/petit"
    assert admin.status_code == 200, admin.text


async def test_a_stream_of_three_survives_its_leader(nats_cluster: NatsCluster) -> None:
    async with await nats.connect(list(nats_cluster.urls)) as nc:
        js = nc.jetstream(timeout=5)
        await js.add_stream(StreamConfig(name="LEADERLESS", subjects=["leaderless"], num_replicas=3))

        async def published() -> bool:
            try:
                await js.publish("leaderless", b"before", headers={"Nats-Msg-Id": "1"})
            except nats.js.errors.NoStreamResponseError:  # our node has not heard of the stream yet
                return False
            return True

        await eventually(published, within_s=20, what="every node knows the stream")
        leader = nats_cluster.leader("LEADERLESS")

        nats_cluster.kill(leader)
        until(lambda: nats_cluster.leader("LEADERLESS") != leader, within_s=20, what="another node leads")
        nats_cluster.start(leader)

        async def stored() -> int:
            try:
                return (await js.stream_info("LEADERLESS")).state.messages
            except nats.errors.TimeoutError:  # asked on the connection that died
                return 0

        assert await eventually(stored, within_s=30, what="the stream answers") == 1
        await js.delete_stream("LEADERLESS")
