"""What is wrong with a request, as a refusal with a pointer to each place."""

from collections.abc import Sequence

from pydantic import ValidationError

from petit.contracts.problems import Code, FieldError, Refused, Unavailable, invalid


def invalid_body(error: ValidationError) -> Refused:
    """Return the refusal of a body that a model did not take."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return invalid(FieldError(pointer=pointer(one["loc"]), detail=one["msg"]) for one in found)


def pointer(place: Sequence[int | str]) -> str:
    """Return the RFC 6901 pointer of a place in a body; empty for the whole of it."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in place)


def no_such_chat(chat: str) -> Refused:
    """Return the one answer to strangers and to mistaken ids: nothing in it may tell them apart."""
    return Refused(Code.CHAT_NOT_FOUND, f"there is no chat {chat}")


def alike(refused: Refused, chat: str) -> Refused:
    """Return a refusal as it is told, whoever made it and whatever it says: see `no_such_chat`."""
    return no_such_chat(chat) if refused.code is Code.CHAT_NOT_FOUND else refused


def of_write(refused: Refused) -> Refused:
    """Return how a write is refused: where it had to ask a fold that is behind, as in any outage."""
    return Unavailable(refused.detail) if refused.code is Code.READ_BEHIND else refused
