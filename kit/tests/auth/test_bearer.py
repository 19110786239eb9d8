"""The `Authorization` header and its answer."""

import pytest

from petit.contracts.problems import Code, Refused
from petit.kit.auth import bearer, challenge


@pytest.mark.parametrize("header", [b"Bearer a.b.c", b"bearer a.b.c", b"BEARER  a.b.c "])
def test_a_bearer_header_carries_a_token(header: bytes) -> None:
    assert bearer(header) == b"a.b.c"


@pytest.mark.parametrize("header", [None, b"", b"Bearer", b"Basic YWRhOmFkYQ==", b"a.b.c"])
def test_a_request_without_a_bearer_header_has_no_token(header: bytes | None) -> None:
    with pytest.raises(Refused) as refused:
        bearer(header)

    assert refused.value.code is Code.TOKEN_MISSING


def test_a_challenge_names_the_error_only_if_there_was_a_token() -> None:
    assert challenge(Code.TOKEN_MISSING) == 'Bearer realm="petit"'
    assert challenge(Code.TOKEN_EXPIRED) == (
        'Bearer realm="petit", error="invalid_token", error_description="token.expired"'
    )
