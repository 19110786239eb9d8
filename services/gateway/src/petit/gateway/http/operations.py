"""What operations answer besides success: for the OpenAPI file, which says everything that can come."""

from typing import Any, Final

from pydantic import BaseModel

from petit.contracts.problems import Code, status_of

_ANY: Final = (
    Code.TOKEN_MISSING,
    Code.TOKEN_INVALID,
    Code.TOKEN_EXPIRED,
    Code.REQUEST_INVALID,
    Code.RATE_LIMITED,
    Code.INTERNAL,
    Code.UNAVAILABLE,
)
READ: Final = (*_ANY, Code.READ_BEHIND)
WRITE: Final = (*_ANY, Code.REQUEST_TOO_LARGE)
IN_CHAT: Final = (Code.CHAT_NOT_FOUND,)
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

Responses = dict[int | str, dict[str, Any]]
"""As FastAPI takes them."""


def may_answer(
    codes: tuple[Code, ...], *more: Code, also: dict[int, type[BaseModel] | None] | None = None
) -> Responses:
    """Return the responses of an operation.

    Args:
        codes: What it shares with others.
        more: What only it refuses.
        also: Further successes, by status; None for one without a body.
    """
    by_status: dict[int, list[Code]] = {}
    for code in (*codes, *more):
        by_status.setdefault(status_of(code), []).append(code)
    answers: Responses = {
        status: {"description": " or ".join(f"`{code}`" for code in some), "content": _PROBLEM}
        for status, some in sorted(by_status.items())
    }
    for status, model in (also or {}).items():
        answers[status] = {"description": "It was there" if model else "Done"} | ({"model": model} if model else {})
    return answers
