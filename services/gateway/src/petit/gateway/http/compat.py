"""Façades that other chat servers have, in front of the same handlers as `/v1` (REQUIREMENTS.md, SWS-21).

`/signup`, `/login`, `/account` and `/logout` stand before the issuer, which keeps the passwords: here they only pass.
Apps that can show the issuer's own page use that (authorization code with PKCE), and need none of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from fastapi import APIRouter, Request, Response

from petit.contracts.problems import Code
from petit.contracts.resources import Me, Person
from petit.gateway.domain.accounts import Grant, LogInBody, SignUpBody
from petit.gateway.domain.addresses import Network, origin_of
from petit.gateway.handlers.sessions import Sessions
from petit.gateway.http.answers import answer
from petit.gateway.http.exchange import exchange_of
from petit.gateway.http.operations import WRITE, may_answer
from petit.gateway.http.parameters import Caller
from petit.gateway.ports import Limits

_OPEN: Final = (
    Code.REQUEST_INVALID,
    Code.REQUEST_TOO_LARGE,
    Code.RATE_LIMITED,
    Code.INTERNAL,
    Code.UNAVAILABLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Counts log-ins and sign-ups: by whom they are for, and by where they come from."""

    limits: Limits
    per_address: bool
    """Whether addresses are counted; where everybody comes from one they say nothing."""
    proxies: Sequence[Network]
    """Our own, which tell whom they were asked by."""

    def count(self, request: Request, name: str) -> None:
        """Count one more.

        Raises:
            Refused: `rate.limited`.
        """
        exchange = exchange_of(request.scope)
        if self.per_address:
            peer, forwarded = request.scope.get("client"), exchange.headers.get(b"x-forwarded-for")
            origin = origin_of(
                peer[0] if peer else None,
                None if forwarded is None else forwarded.decode("latin-1"),
                trusted=self.proxies,
            )
            exchange.budget = self.limits.take("logins", f"from {origin}")
            exchange.budget.spend()
        exchange.budget = self.limits.take("logins", f"for {name.lower()}")
        exchange.budget.spend()


def add_sign_up(router: APIRouter, *, sessions: Sessions, counter: Counter) -> None:
    """Add the façade for who has no account."""

    @router.post(
        "/signup",
        operation_id="signUp",
        status_code=201,
        response_model=Person,
        responses=may_answer(_OPEN, Code.CONFLICT_STATE),
    )
    async def sign_up(request: Request, body: SignUpBody) -> Response:
        """Make an account. The password goes to the issuer, and is kept nowhere else."""
        counter.count(request, body.username)
        made = await sessions.accounts.sign_up(body.username, password=body.password, name=body.name)
        return answer(made, status=201)


def add_log_in(router: APIRouter, *, sessions: Sessions, counter: Counter) -> None:
    """Add the façade for who has no token."""

    @router.post(
        "/login",
        operation_id="logIn",
        response_model=Grant,
        responses=may_answer(_OPEN, Code.CREDENTIALS_INVALID),
    )
    async def log_in(request: Request, body: LogInBody) -> Response:
        """Return the tokens of a log-in: a new one by username and password, or one that goes on by its refresh token.

        A wrong password, a name that nobody has and an account that is locked are all told alike.
        """
        if body.refresh_token is not None:
            counter.count(request, f"refresh:{sha256(body.refresh_token.get_secret_value().encode()).hexdigest()}")
            return answer(await sessions.accounts.go_on(body.refresh_token))
        assert body.username is not None  # noqa: S101 - the model lets no other body pass
        assert body.password is not None  # noqa: S101 - likewise
        counter.count(request, body.username)
        return answer(await sessions.accounts.log_in(body.username, password=body.password))


def add_compat_of_callers(router: APIRouter, *, sessions: Sessions) -> None:
    """Add the façades for who has a token."""

    @router.get("/account", operation_id="getAccount", response_model=Me, responses=may_answer(WRITE))
    async def account(caller: Caller) -> Response:
        """Return myself, as `/v1/me` does."""
        return answer(Me(id=caller.user, username=caller.username, name=caller.name, roles=tuple(sorted(caller.roles))))

    @router.post("/logout", operation_id="logOut", status_code=204, response_model=None, responses=may_answer(WRITE))
    async def log_out(caller: Caller) -> Response:
        """End the log-in of this token: its streams close and its tokens are refused, everywhere, within seconds."""
        await sessions.log_out(caller)
        return answer(None, status=204)
