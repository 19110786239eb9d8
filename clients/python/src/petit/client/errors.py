"""What can go wrong, at one glance.

ClientError
├── Unreachable          no answer in time: the network, or a server that is starting
├── LoginRefused         the issuer gave no token
├── StreamEnded          the server closed the stream and said not to come back
└── ApiProblem           the server answered with a problem (RFC 9457)
    ├── Unauthenticated  401
    ├── Forbidden        403
    ├── NotFound         404, 405
    ├── Conflict         409
    ├── CursorExpired    410: begin again with a snapshot
    ├── Invalid          413, 422
    ├── RateLimited      429
    └── Unavailable      425, 5xx: temporary
"""

from petit.contracts.problems import Code, Problem


class ClientError(Exception):
    """Whatever this package raises on purpose."""


class Unreachable(ClientError):
    """There was no answer in time; whether the request was carried out is not known."""


class LoginRefused(ClientError):
    """The issuer refused to give a token: wrong name or password, or the log-in has ended."""


class StreamEnded(ClientError):
    """The server ended the stream for good.

    Args:
        code: The close code of API section 3, as 4403 for a ban.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the server closed the stream with code {code}: do not resume")
        self.code = code


class ApiProblem(ClientError):
    """The server answered with a problem.

    Args:
        problem: What it said.
        retry_after: Seconds after which trying again makes sense; None if it did not say.
    """

    def __init__(self, problem: Problem, *, retry_after: float | None = None) -> None:
        super().__init__(f"{problem.code}: {problem.detail}")
        self.problem = problem
        self.retry_after = retry_after

    @property
    def code(self) -> Code:
        """Why; the only part that programs should read."""
        return self.problem.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status


class Unauthenticated(ApiProblem):
    """The token is missing, not valid or expired."""


class Forbidden(ApiProblem):
    """This person may not do this."""


class NotFound(ApiProblem):
    """There is no such thing, as far as this person may know."""


class Conflict(ApiProblem):
    """The state of things does not allow this."""


class CursorExpired(ApiProblem):
    """The cursor belongs to another making of the log: take a snapshot and begin again."""


class Invalid(ApiProblem):
    """The request is not valid; `problem.errors` says where."""


class RateLimited(ApiProblem):
    """Too many requests; `retry_after` says when to come back."""


class Unavailable(ApiProblem):
    """Something on the server's side is down for now."""


_BY_STATUS: dict[int, type[ApiProblem]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: NotFound,
    409: Conflict,
    410: CursorExpired,
    413: Invalid,
    422: Invalid,
    425: Unavailable,
    429: RateLimited,
}
_SERVER_ERRORS = 500


def from_problem(problem: Problem, *, retry_after: float | None = None) -> ApiProblem:
    """Return the exception that goes with a problem."""
    fallback = Unavailable if problem.status >= _SERVER_ERRORS else ApiProblem
    return _BY_STATUS.get(problem.status, fallback)(problem, retry_after=retry_after)
