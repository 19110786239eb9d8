"""`petit migrate`: the schema of the read model in a cluster, as an operator makes it."""

import secrets

import pytest

from petit.cli.migrate import migrate
from petit.cli.settings import MigrateSettings
from petit.cli.trouble import Trouble
from tests.real.servers import Cassandra


async def test_without_a_database_it_says_what_to_set() -> None:
    with pytest.raises(Trouble, match="PETIT_BOOTSTRAP_CQL_HOSTS"):
        await migrate(MigrateSettings(cql_hosts=None))


@pytest.mark.real
@pytest.mark.timeout(180)
async def test_it_makes_what_is_missing_and_says_so(cassandra: Cassandra, capsys: pytest.CaptureFixture[str]) -> None:
    keyspace = f"petit_cli_{secrets.token_hex(4)}"
    settings = MigrateSettings(cql_hosts=cassandra.host, cql_port=cassandra.port, cql_keyspace=keyspace)

    await migrate(settings)
    await migrate(settings)

    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("version 2 made")
    assert second.endswith("nothing to do")


async def test_a_database_that_does_not_come_in_time_is_named() -> None:
    with pytest.raises(Trouble, match=r"127\.0\.0\.1:1"):
        await migrate(MigrateSettings(cql_hosts="127.0.0.1", cql_port=1, wait_s=0))
