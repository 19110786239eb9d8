"""One request and its answer: authorisation, problems, and trying again.

A request is tried again when the answer says that trouble passes (425, 429, 5xx) or when nothing was
sent at all. When a request may have arrived, only one that may arrive twice is tried again: reads, and
writes that carry their own id.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from pydantic import ValidationError

from petit.client.errors import (
    ApiProblem,
    ClientError,
    RateLimited,
    Unauthenticated,
    Unavailable,
    Unreachable,
    from_problem,
)
from petit.client.tokens import Tokens
from petit.contracts.ids import Offset
from petit.contracts.problems import Code, Problem

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
_BAD: Final = 400
_NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to make."""

    method: str
    path: str
    params: Mapping[str, str | int | None] | None = None
    """Query parameters; those that are None are left out."""
    body: Mapping[str, Any] | None = None
    """The JSON body; members that are None are left out."""
    repeatable: bool = True
    """Doing it twice is doing it once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered to a request that it accepted."""

    status: int
    content: bytes
    as_of: Offset
    """The lowest offset that all it read from reflects (`Petit-As-Of`); 0 if it did not say."""
    offset: Offset
    """Where the write is stored (`Petit-Offset`); 0 if it is not in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, in seconds."""

    attempt_s: float = 10.0
    """For one answer."""
    total_s: float = 30.0
    """For all attempts together; beyond it the last trouble is raised."""


def pause_s(failures: int, *, hint: float | None = None) -> float:
    """Return how long to wait after so many failures in a row: exponential, with jitter, never less than the hint."""
    top = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 16))
    return max(hint or 0.0, random.uniform(top / 2, top))  # noqa: S311 - spreads load, guards nothing


class Caller:
    """Makes calls on behalf of one person."""

    def __init__(self, http: httpx2.AsyncClient, *, tokens: Tokens, patience: Patience) -> None:
        self._http = http
        self._tokens = tokens
        self.patience = patience

    async def token(self, *, stale: str | None = None) -> str:
        """Return an access token that is valid now; see `Tokens.access_token`."""
        return await self._tokens.access_token(self._http, stale=stale)

    async def call(self, call: Call, *, total_s: float | None = None) -> Answer:
        """Make a request until it is answered, at most `total_s` long (by default, as long as our patience).

        Raises:
            ApiProblem: the server refuses, or is still in trouble at the end.
            LoginRefused: there is no token.
            Unreachable: no answer in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.patience.total_s if total_s is None else total_s)
        failures = 0
        while True:
            hint = None
            trouble: ClientError
            try:
                return await self._attempt(call, within_s=min(self.patience.attempt_s, deadline - loop.time()))
            except (RateLimited, Unavailable) as problem:
                hint, trouble = problem.retry_after, problem
            except Unreachable as error:
                if not call.repeatable and not isinstance(error.__cause__, _NOT_SENT):
                    raise
                trouble = error
            wait = pause_s(failures, hint=hint)
            failures += 1
            if loop.time() + wait >= deadline:
                raise trouble
            await asyncio.sleep(wait)

    async def _attempt(self, call: Call, *, within_s: float) -> Answer:
        token = await self.token()
        try:
            return await self._once(call, token=token, within_s=within_s)
        except Unauthenticated as problem:
            if problem.code not in {Code.TOKEN_EXPIRED, Code.TOKEN_INVALID}:
                raise
        return await self._once(call, token=await self.token(stale=token), within_s=within_s)

    async def _once(self, call: Call, *, token: str, within_s: float) -> Answer:
        body = None if call.body is None else {name: value for name, value in call.body.items() if value is not None}
        params = {name: value for name, value in (call.params or {}).items() if value is not None}
        try:
            async with asyncio.timeout(within_s):
                response = await self._http.request(
                    call.method,
                    call.path,
                    params=params or None,
                    json=body,
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=within_s,
                )
        except (httpx2.TransportError, TimeoutError) as error:
            raise Unreachable(f"{call.method} {call.path}: no answer: {error!r}") from error
        if response.status_code >= _BAD:
            raise problem_of(response.status_code, content=response.content, headers=response.headers)
        return Answer(
            status=response.status_code,
            content=response.content,
            as_of=Offset(int(response.headers.get("Petit-As-Of", "0"))),
            offset=Offset(int(response.headers.get("Petit-Offset", "0"))),
        )


def problem_of(status: int, *, content: bytes, headers: Mapping[str, str]) -> ApiProblem:
    """Return the exception for an answer of 400 or above; something in between may have answered without a problem."""
    retry_after = headers.get("Retry-After", "")
    hint = float(retry_after) if retry_after.isdecimal() else None
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        code = Code.UNAVAILABLE if status in {502, 503, 504} else Code.INTERNAL
        detail = f"status {status} without a problem of ours: {content[:200].decode(errors='replace')}"
        problem = Problem(type="about:blank", title="Not a problem of ours", status=status, detail=detail, code=code)
    return from_problem(problem, retry_after=hint)
