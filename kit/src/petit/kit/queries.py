"""Query strings, refused where they say what a route does not know."""

from collections.abc import Collection
from urllib.parse import parse_qsl

from petit.contracts.problems import FieldError, invalid, wrong


def read_query(raw: bytes, *, known: Collection[str]) -> dict[str, str]:
    """Return the parameters of a query string, as ASGI has it.

    Raises:
        Refused: `request.invalid`, with a pointer to each parameter that is unknown or there twice; or it is no UTF-8.
    """
    try:
        given = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise wrong("?", "the query is not UTF-8 in percent-encoding") from None
    query: dict[str, str] = {}
    errors: list[FieldError] = []
    for name, value in given:
        if name not in known:
            errors.append(FieldError(pointer=f"?{name}", detail="no such parameter"))
        elif name in query:
            errors.append(FieldError(pointer=f"?{name}", detail="given twice"))
        query[name] = value
    if errors:
        raise invalid(errors)
    return query
