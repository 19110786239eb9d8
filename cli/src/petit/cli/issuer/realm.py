"""All that the endpoints work with, put together once."""

from dataclasses import dataclass
from typing import Final

from petit.cli.issuer.clients import Client, registered
from petit.cli.issuer.events import Events
from petit.cli.issuer.keys import SigningKeys, refresh_secret
from petit.cli.issuer.people import People
from petit.cli.issuer.sessions import Sessions
from petit.cli.issuer.settings import Settings
from petit.cli.issuer.store import Store
from petit.cli.issuer.tokens import Tokens
from petit.kit.clock import Clock

NAME: Final = "petit"
PATH: Final = f"/realms/{NAME}"
OIDC: Final = f"{PATH}/protocol/openid-connect"
LOGIN: Final = f"{PATH}/login-actions/authenticate"
ADMIN: Final = f"/admin{PATH}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """One process's view of the realm; everything that changes is in the shared file."""

    base_url: str
    """Where people reach it: `http://127.0.0.1:8080`."""
    url: str
    """The issuer: `http://127.0.0.1:8080/realms/petit`, whatever host a request names."""
    settings: Settings
    store: Store
    keys: SigningKeys
    people: People
    sessions: Sessions
    events: Events
    tokens: Tokens
    clients: dict[str, Client]
    clock: Clock

    def now(self) -> float:
        """Return the time that tokens carry: Unix seconds."""
        return self.clock.now_ms() / 1000


def realm_in(store: Store, *, base_url: str, settings: Settings, clock: Clock) -> Realm:
    """Put the realm of a store together, and make its first key and people if they are missing."""
    url = f"{base_url}{PATH}"
    keys, people = SigningKeys(store, token_s=settings.token_s), People(store)
    now = clock.now_ms() / 1000
    with store.alone():
        keys.ensure(settings.algorithm, now=now)
        people.ensure(now=now)
    return Realm(
        base_url=base_url,
        url=url,
        settings=settings,
        store=store,
        keys=keys,
        people=people,
        sessions=Sessions(store, session_s=settings.session_s, code_s=settings.code_s),
        events=Events(store),
        tokens=Tokens(keys, url=url, refresh_secret=refresh_secret(store), token_s=settings.token_s),
        clients=registered(store.gateway_secret),
        clock=clock,
    )
