"""Where NATS is and as whom: what is set is whole, secrets stay out of sight, and answers come to our own inbox."""

from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from petit.kit.access import Access, NatsSettings
from petit.kit.connection import connect
from petit.kit.natsserver import NatsServer


class Settings(NatsSettings):
    model_config = SettingsConfigDict(env_prefix="PETIT_TEST_", frozen=True)


def test_what_is_set_comes_as_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("URL", "nats://a:1, nats://b:2"), ("USER", "chat"), ("PASSWORD", "s3cret"), ("CA", "/ca.pem")):
        monkeypatch.setenv(f"PETIT_TEST_NATS_{name}", value)

    access = Settings().nats

    assert access.servers == ["nats://a:1", "nats://b:2"]
    assert (access.user, access.password, access.token) == ("chat", "s3cret", None)
    assert str(access.ca) == "/ca.pem"
    assert "s3cret" not in repr(access)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"nats_user": "chat"}, {"nats_password": "x"}, {"nats_user": "chat", "nats_password": "x", "nats_token": "t"}],
)
def test_credentials_that_are_not_whole_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="NATS user"):
        Settings(nats_url="nats://a:1", **wrong)


def test_a_user_has_an_inbox_of_its_own() -> None:
    assert Access(url="nats://a:1", user="chat", password="x").inbox_prefix == "_INBOX_chat"
    assert Access(url="nats://a:1", token="t").inbox_prefix == "_INBOX"


async def test_inboxes_begin_with_the_prefix(server: NatsServer) -> None:
    async with await connect(server.access, name="test") as nc:
        assert nc.new_inbox().startswith(f"{server.access.inbox_prefix}.")
