"""What each container of the whole stack is made of: the images that ship, set up as compose.yaml sets them up."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from petit.kit.ports import free_ports
from tests.real.engine import Recipe
from tests.real.servers import CASSANDRA_IMAGE, GATEWAY_SECRET, KEYCLOAK_IMAGE, LOGIN_SECRET, NATS_IMAGE

ROOT: Final = Path(__file__).parents[2]
REPLICAS: Final = 3
SERVICES: Final = {"gateway": 8080, "notifier": 8081, "chat": 8082}
"""Our services, and the port where each listens in its container."""
NATS: Final = tuple(f"nats-{number}" for number in range(3))
EDGES: Final = tuple(f"{service}-{number}" for service in ("gateway", "notifier") for number in range(REPLICAS))
CHATS: Final = tuple(f"chat-{number}" for number in range(REPLICAS))
CLIENTS: Final = ("petit-web", "petit-brief", "petit-login")
"""Apps whose tokens are taken; `petit-brief` is made by tests that want tokens of a short life."""
_TAG: Final = "dev"
_NATS_URLS: Final = ",".join(f"nats://{name}:4222" for name in NATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every container by its name, and where each is reached from here."""

    recipes: Mapping[str, Recipe]
    ports: Mapping[str, int]
    """By name: where its HTTP answers on our loopback interface; for NATS its monitoring."""
    keycloak_ready: int
    proxy_metrics: int

    @property
    def url(self) -> str:
        """The public origin."""
        return f"http://127.0.0.1:{self.ports['proxy']}"


@dataclass(frozen=True, slots=True)
class _Passwords:
    """Of each user of NATS; each begins with a letter, as deploy/nats/nats.conf asks."""

    made: dict[str, str] = field(default_factory=dict)

    def of(self, user: str) -> str:
        return self.made.setdefault(user, f"p{secrets.token_hex(16)}")


def plan() -> Plan:
    """Return a stack on ports that are free now: everything in one network, three replicas of each service."""
    names = [*NATS, *EDGES, *CHATS, "keycloak", "proxy"]
    keycloak_ready, proxy_metrics, *others = free_ports(2 + len(names))
    ports = dict(zip(names, others, strict=True))
    url = f"http://127.0.0.1:{ports['proxy']}"
    passwords = _Passwords()
    recipes = {name: _nats(name, monitor=ports[name], passwords=passwords) for name in NATS}
    recipes["cassandra"] = Recipe(image=CASSANDRA_IMAGE, volumes=["/var/lib/cassandra"], memory="1g", restarts=True)
    recipes["keycloak"] = _keycloak(url, ports={8080: ports["keycloak"], 9000: keycloak_ready})
    recipes["bootstrap"], recipes["doctor"] = _bootstrap(passwords), _doctor(passwords)
    for service, port in SERVICES.items():
        env = _service(service, url=url, password=passwords.of(service))
        for number in range(REPLICAS):
            name = f"{service}-{number}"
            recipes[name] = Recipe(
                image=f"petit/{service}:{_TAG}",
                env=env,
                ports={port: ports[name]},
                aliases=[service],
                memory="512m",
                restarts=True,
            )
    recipes["proxy"] = Recipe(image=f"petit/proxy:{_TAG}", ports={8080: ports["proxy"], 8090: proxy_metrics})
    return Plan(recipes=recipes, ports=ports, keycloak_ready=keycloak_ready, proxy_metrics=proxy_metrics)


def _nats(name: str, *, monitor: int, passwords: _Passwords) -> Recipe:
    routes = [f"nats://cluster:{passwords.of('cluster')}@{each}:6222" for each in NATS]
    users = ["cluster", "gateway", "notifier", "chat", "search", "attachments", "bootstrap", "operator"]
    return Recipe(
        image=NATS_IMAGE,
        command=["--config", "/etc/nats/nats.conf"],
        env={"NATS_NAME": name, "NATS_ROUTES": json.dumps(routes)}
        | {f"NATS_{user.upper()}_PASSWORD": passwords.of(user) for user in users},
        files={f"/etc/nats/{file}": ROOT / "deploy/nats" / file for file in ("nats.conf", "tls.conf")},
        ports={8222: monitor},
        volumes=["/data"],
        memory="1g",
    )


def _keycloak(url: str, *, ports: dict[int, int]) -> Recipe:
    env = {"KC_HOSTNAME": url, "KC_HOSTNAME_BACKCHANNEL_DYNAMIC": "true"}
    return Recipe(image=KEYCLOAK_IMAGE, env=env, ports=ports, memory="1g", writable=True)


def _connection(service: str, *, password: str) -> dict[str, str]:
    prefix = f"PETIT_{service.upper()}_NATS"
    return {f"{prefix}_URL": _NATS_URLS, f"{prefix}_USER": service, f"{prefix}_PASSWORD": password}


def _bootstrap(passwords: _Passwords) -> Recipe:
    env = _connection("bootstrap", password=passwords.of("bootstrap")) | {
        "PETIT_BOOTSTRAP_REPLICAS": "3",
        "PETIT_BOOTSTRAP_CQL_HOSTS": "cassandra",
        "PETIT_BOOTSTRAP_CQL_REPLICATION": "1",
    }
    return Recipe(image=f"petit/cli:{_TAG}", command=["bootstrap"], env=env)


def _doctor(passwords: _Passwords) -> Recipe:
    """Return the operator's command that makes a lost log anew."""
    env = {
        "PETIT_DOCTOR_NATS_URL": _NATS_URLS,
        "PETIT_DOCTOR_CQL_HOSTS": "cassandra",
        "NATS_OPERATOR_PASSWORD": passwords.of("operator"),
    }
    return Recipe(image=f"petit/cli:{_TAG}", command=["doctor", "--stack", "real", "--new-epoch"], env=env)


def _service(service: str, *, url: str, password: str) -> dict[str, str]:
    prefix = f"PETIT_{service.upper()}"
    env = _connection(service, password=password)
    if service == "chat":
        return env | {f"{prefix}_CQL_HOSTS": "cassandra"}
    env |= {
        f"{prefix}_ISSUER": f"{url}/realms/petit",
        f"{prefix}_ISSUER_URL_INSIDE": "http://keycloak:8080/realms/petit",
        f"{prefix}_DRAIN_S": "3",
        f"{prefix}_CLIENTS": json.dumps(CLIENTS),
        f"{prefix}_ORIGINS": json.dumps([url]),
    }
    if service == "gateway":
        env |= {
            f"{prefix}_ADMIN_URL": "http://keycloak:8080/admin/realms/petit",
            f"{prefix}_DIRECTORY_SECRET": GATEWAY_SECRET,
            f"{prefix}_LOGIN_SECRET": LOGIN_SECRET,
            f"{prefix}_SECURE_COOKIES": "false",
        }
    return env
