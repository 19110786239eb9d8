"""`petit login`, `petit logout`: getting and keeping tokens."""

from dataclasses import dataclass
from typing import Final

import httpx2
import typer

from petit.cli import datadir, show
from petit.cli.datadir import DataDir
from petit.cli.logins import REALM, Login, Logins
from petit.cli.session import Who, acting, server_url
from petit.cli.trouble import Trouble, file_trouble
from petit.client import Grant, LoginRefused, OidcTokens, Unreachable
from petit.client.tokens import DEFAULT_CLIENT

_ADMIN: Final = "/admin/realms/petit/users"
_SERVICE: Final = "petit-gateway"
_LOOPBACK: Final = ("http://127.0.0.1", "http://localhost", "http://[::1]")
_TIMEOUT_S: Final = 10.0
_CREATED: Final = 201
_TAKEN: Final = 409
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What `petit login` was told."""

    name: str
    password: str | None
    new: bool
    """Make the person first."""
    url: str | None
    """The server; None: whatever runs on this data."""
    issuer: str | None
    """Who gives tokens; None: the development issuer of that server."""


async def login(who: Who, entry: Entry, *, json: bool) -> None:
    """Log somebody in, and keep the log-in.

    Raises:
        Trouble: nothing runs.
        LoginRefused: the issuer refuses.
    """
    data = datadir.make(who.data)
    url = (entry.url or server_url(data)).rstrip("/")
    logins = Logins.of(data)
    logins.check(entry.name)
    if entry.new:
        await _make(entry, data=data, url=url)
    grant = await _grant(entry, url=url)
    logins.write(Login(name=entry.name, url=entry.url, issuer=entry.issuer, grant=grant))
    logins.make_current(entry.name)
    async with acting(Who(data=who.data, name=entry.name)) as session:
        me = await session.me()
    if json:
        show.record(me)
    else:
        show.line(f"logged in as {me.username} ({me.id})")


async def who_is_in(who: Who, *, json: bool) -> None:
    """Say who is logged in, and for whom commands act."""
    logins = who.logins()
    current = logins.current()
    for name in logins.names():
        if json:
            show.record({"name": name, "current": name == current})
        else:
            show.line(f"{'*' if name == current else ' '} {name}")
    if not logins.names() and not json:
        show.line("nobody is logged in: ./petit login ada")


async def logout(who: Who) -> None:
    """End a log-in, here and at the issuer.

    Raises:
        Trouble: there is none.
    """
    logins = who.logins()
    name = logins.choose(who.name)
    login = logins.read(name)
    logins.forget(name)
    url = login.url or server_url(DataDir(who.data.absolute()))
    form = {"client_id": DEFAULT_CLIENT, "refresh_token": login.grant.refresh_token or ""}
    async with httpx2.AsyncClient(trust_env=False) as http:
        try:
            await http.post(f"{login.issuer or url + REALM}/protocol/openid-connect/logout", data=form)
        except httpx2.TransportError as error:
            raise Trouble(f"{name} is logged out here, but the issuer does not answer: {error!r}") from error
    show.line(f"{name} is logged out")


async def _grant(entry: Entry, *, url: str) -> Grant:
    # People of the development issuer have their name as password, so it is not asked for.
    guess = entry.password is None and entry.issuer is None and url.startswith(_LOOPBACK)
    password = entry.name if guess else entry.password
    if password is None:
        password = typer.prompt(f"Password of {entry.name}", hide_input=True, err=True)
    try:
        return await _ask(entry, url=url, password=password)
    except LoginRefused:
        if not guess:
            raise
    return await _ask(entry, url=url, password=typer.prompt(f"Password of {entry.name}", hide_input=True, err=True))


async def _ask(entry: Entry, *, url: str, password: str) -> Grant:
    kept: list[Grant] = []
    issuer = entry.issuer or url + REALM
    tokens = OidcTokens(issuer, username=entry.name, password=password, on_grant=kept.append)
    async with httpx2.AsyncClient(trust_env=not issuer.startswith(_LOOPBACK)) as http:
        await tokens.access_token(http)
    return kept[0]


async def _make(entry: Entry, *, data: DataDir, url: str) -> None:
    """Make a person at the development issuer, as its admin API's client."""
    secret_file = data.root / "issuer" / "gateway.secret"
    if entry.url is not None or entry.issuer is not None:
        raise Trouble("--new makes people of the development issuer on this machine only: ask your administrator")
    with file_trouble(secret_file):
        secret = secret_file.read_text().strip()
    form = {"grant_type": "client_credentials", "client_id": _SERVICE, "client_secret": secret}
    password = {"type": "password", "value": entry.password or entry.name, "temporary": False}
    person = {"username": entry.name, "firstName": entry.name, "enabled": True, "credentials": [password]}
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=_TIMEOUT_S) as http:
        try:
            answer = await http.post(f"{REALM}/protocol/openid-connect/token", data=form)
            if answer.status_code == _OK:
                bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
                answer = await http.post(_ADMIN, json=person, headers=bearer)
        except httpx2.TransportError as error:
            raise Unreachable(f"{url} does not answer: {error!r}") from error
    if answer.status_code == _TAKEN:
        raise Trouble(f"there is somebody called {entry.name} already: ./petit login {entry.name}")
    if answer.status_code != _CREATED:
        raise Trouble(f"the issuer does not make {entry.name}: status {answer.status_code}, {answer.text[:200]}")
