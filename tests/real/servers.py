"""Servers that any test may ask for by a fixture's name.

One of each serves the whole run. `PETIT_TEST_CASSANDRA=host:port` and `PETIT_TEST_KEYCLOAK=url` name servers
that run already; otherwise they start in containers, from images that `deploy/docker/local/build` made.
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from petit.kit.ports import free_port, free_ports
from tests.e2e.waiting import until
from tests.real.engine import DIRECT, Box, Net, Recipe, together, untimed, when_answers, when_logged

CASSANDRA_IMAGE: Final = "petit-local/cassandra:ci"
KEYCLOAK_IMAGE: Final = "petit-local/keycloak:ci"
NATS_IMAGE: Final = "petit-local/nats:ci"
_DEPLOYED_KEYCLOAK_IMAGE: Final = "petit/keycloak:dev"
_POSTGRES_IMAGE: Final = "petit-local/postgres:ci"
_REALM_ENV: Final = Path(__file__).parents[2] / "deploy/keycloak/dev.env"
_DATABASE_PASSWORD: Final = secrets.token_hex(16)
ADMIN: Final = "admin"
"""Name and password of Keycloak's first administrator, in the image for tests."""
GATEWAY_SECRET: Final = "petit-gateway-dev-secret"
"""What the client `petit-gateway` is imported with in deploy/keycloak/dev.env."""
LOGIN_SECRET: Final = "petit-login-dev-secret"
"""What the client `petit-login` is imported with in deploy/keycloak/dev.env."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cassandra:
    """One node; each test takes a keyspace of its own."""

    host: str
    port: int
    box: Box | None = None
    """Its container, to be hurt; nothing where the server was there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keycloak:
    """A Keycloak that has the realm `petit`; each test takes people of its own."""

    url: str
    """Its base, without a slash at the end: the realm is at `/realms/petit`."""
    admin_user: str
    """Of the realm `master`."""
    admin_password: str
    gateway_secret: str = GATEWAY_SECRET
    login_secret: str = LOGIN_SECRET
    box: Box | None = None
    """Its container, to be hurt; nothing where the server was there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsCluster:
    """Three nodes with JetStream; each test takes streams of its own, and leaves all nodes running."""

    nodes: tuple[Box, ...]
    ports: tuple[int, ...]
    """Where each node takes clients; the same after a restart."""
    monitors: tuple[int, ...] = field(default=())
    """Where each node answers `/healthz` and `/jsz`."""

    @property
    def urls(self) -> Sequence[str]:
        """Where clients connect."""
        return [f"nats://127.0.0.1:{port}" for port in self.ports]

    def kill(self, node: int) -> None:
        """`kill -9`."""
        self.nodes[node].kill()

    def start(self, node: int) -> None:
        """Start a node that was killed, and wait until it has caught up."""
        self.nodes[node].start()
        self.when_healthy(node)

    def pause(self, node: int) -> None:
        """Freeze a node."""
        self.nodes[node].pause()

    def unpause(self, node: int) -> None:
        """Let a node go on."""
        self.nodes[node].unpause()

    def when_healthy(self, node: int) -> None:
        """Wait until a node says that its streams are current."""
        when_answers(self.nodes[node], f"http://127.0.0.1:{self.monitors[node]}/healthz")

    def leader(self, stream: str) -> int:
        """Return the node that leads a stream, by its number.

        Raises:
            AssertionError: none does within ten seconds.
        """
        names = [node.name for node in self.nodes]
        return names.index(leader(stream, monitors=dict(zip(names, self.monitors, strict=True))))


def leader(stream: str, *, monitors: Mapping[str, int]) -> str:
    """Return the node that leads a stream, by its own word: the others may not know yet that it is gone.

    Args:
        stream: Its name.
        monitors: The monitoring port of each node.

    Raises:
        AssertionError: none does within ten seconds.
    """

    def told() -> str:
        for name, monitor in monitors.items():
            for account in jsz(monitor, "acc=$G&streams=true").get("account_details") or []:
                for one in account.get("stream_detail") or []:
                    if one["name"] == stream and one.get("cluster", {}).get("leader") == name:
                        return name
        return ""

    return until(told, within_s=10, what=f"{stream} has a leader")


def jsz(monitor: int, query: str) -> dict[str, Any]:
    """Return what a node says of its JetStream; nothing if it does not answer."""
    try:
        with DIRECT.open(f"http://127.0.0.1:{monitor}/jsz?{query}", timeout=5) as answer:
            told: dict[str, Any] = json.load(answer)
    except OSError:
        return {}
    return told


@pytest.fixture(scope="session")
def cassandra() -> Iterator[Cassandra]:
    """One Cassandra node."""
    if there := os.environ.get("PETIT_TEST_CASSANDRA"):
        host, _, given = there.rpartition(":")
        yield Cassandra(host=host, port=int(given))
        return
    with Net() as net:
        port = free_port()
        box = net.box("cassandra", cassandra_recipe(port=port))
        with untimed():
            box.start()
            when_logged(box, "Startup complete")
        yield Cassandra(host="127.0.0.1", port=port, box=box)


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    """One Keycloak with our realm, the people of `people.dev.json`, and an administrator."""
    if there := os.environ.get("PETIT_TEST_KEYCLOAK"):
        yield Keycloak(url=there.rstrip("/"), admin_user=ADMIN, admin_password=ADMIN)
        return
    with Net() as net:
        port, management = free_ports(2)
        box = net.box("keycloak", keycloak_recipe(ports={8080: port, 9000: management}))
        with untimed():
            box.start()
            when_answers(box, f"http://127.0.0.1:{management}/health/ready")
        yield Keycloak(url=f"http://127.0.0.1:{port}", admin_user=ADMIN, admin_password=ADMIN, box=box)


@pytest.fixture(scope="session")
def deployed_keycloak() -> Iterator[Keycloak]:
    """One Keycloak as compose and Kubernetes have it: our image, on PostgreSQL; nobody is in its realm.

    It makes its tables when it starts, which takes a minute: for what depends on the database.
    """
    with Net() as net:
        port, management = free_ports(2)
        database = net.box("postgres", _postgres_recipe())
        box = net.box("keycloak", _deployed_keycloak_recipe(ports={8080: port, 9000: management}))
        with untimed():
            database.start()
            when_logged(database, "database system is ready to accept connections")
            box.start()
            when_answers(box, f"http://127.0.0.1:{management}/health/ready")
        yield Keycloak(url=f"http://127.0.0.1:{port}", admin_user=ADMIN, admin_password=ADMIN, box=box)


@pytest.fixture(scope="session")
def nats_cluster() -> Iterator[NatsCluster]:
    """Three NATS nodes, `nats-0` to `nats-2`, that anyone may use."""
    with Net() as net:
        numbers = free_ports(6)
        ports, monitors = tuple(numbers[:3]), tuple(numbers[3:])
        nodes = tuple(
            net.box(f"nats-{number}", _plain_nats(number, port=port, monitor=monitor))
            for number, (port, monitor) in enumerate(zip(ports, monitors, strict=True))
        )
        cluster = NatsCluster(nodes=nodes, ports=ports, monitors=monitors)
        with untimed():
            together(node.start for node in nodes)
            for number in range(3):
                cluster.when_healthy(number)
        yield cluster


def cassandra_recipe(*, port: int | None = None) -> Recipe:
    """Return how a node is made; with a port it is published there."""
    ports = {} if port is None else {9042: port}
    return Recipe(image=CASSANDRA_IMAGE, ports=ports, volumes=["/var/lib/cassandra"], memory="1g")


def keycloak_recipe(*, ports: dict[int, int], env: dict[str, str] | None = None) -> Recipe:
    """Return how a Keycloak with our realm in its own file is made."""
    return Recipe(image=KEYCLOAK_IMAGE, ports=ports, env=env or {}, memory="1g", writable=True)


def _deployed_keycloak_recipe(*, ports: dict[int, int]) -> Recipe:
    env = dict(line.split("=", 1) for line in _REALM_ENV.read_text().splitlines() if line[:1] not in ("", "#"))
    env |= {
        "KC_DB_URL": "jdbc:postgresql://postgres:5432/keycloak",
        "KC_DB_USERNAME": "keycloak",
        "KC_DB_PASSWORD": _DATABASE_PASSWORD,
        "KC_HTTP_ENABLED": "true",
        "KC_HOSTNAME_STRICT": "false",
        "KC_CACHE": "local",
        "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN,
    }
    return Recipe(image=_DEPLOYED_KEYCLOAK_IMAGE, env=env, ports=ports, memory="1536m", writable=True)


def _postgres_recipe() -> Recipe:
    env = {"POSTGRES_DB": "keycloak", "POSTGRES_USER": "keycloak", "POSTGRES_PASSWORD": _DATABASE_PASSWORD}
    return Recipe(image=_POSTGRES_IMAGE, env=env, volumes=["/var/lib/postgresql/data"], memory="512m")


def _plain_nats(number: int, *, port: int, monitor: int) -> Recipe:
    routes = ",".join(f"nats://nats-{node}:6222" for node in range(3))
    command = [
        *("--jetstream", "--store_dir", "/data", "--http_port", "8222", "--name", f"nats-{number}"),
        *("--cluster_name", "petit", "--cluster", "nats://0.0.0.0:6222", "--routes", routes),
        *("--client_advertise", f"127.0.0.1:{port}"),
    ]
    return Recipe(
        image=NATS_IMAGE, command=command, ports={4222: port, 8222: monitor}, volumes=["/data"], memory="512m"
    )
