"""The table of settings is what the code reads today, and says of each what it is."""

import pytest
from pydantic_settings import BaseSettings

from tests.house.configuration import FILE, SECTIONS, settings_of, text
from tests.house.tree import ROOT


def test_the_table_of_settings_is_fresh() -> None:
    assert (ROOT / FILE).read_text(encoding="utf-8") == text(), "stale: run `just configuration`"


@pytest.mark.parametrize("settings", SECTIONS.values(), ids=SECTIONS)
def test_every_setting_says_what_it_is(settings: type[BaseSettings]) -> None:
    assert [setting.name for setting in settings_of(settings) if not setting.says] == []


def test_a_secret_is_called_one_and_what_is_required_is_said() -> None:
    found = {setting.name: setting for settings in SECTIONS.values() for setting in settings_of(settings)}

    assert found["PETIT_GATEWAY_DIRECTORY_SECRET"].says.endswith("*Secret.*")
    assert found["PETIT_CHAT_NATS_PASSWORD"].says.endswith("*Secret.*")
    assert found["PETIT_NOTIFIER_NATS_URL"].default == "**required**"
    assert found["NATS_OPERATOR_PASSWORD"].default == "**required**"
