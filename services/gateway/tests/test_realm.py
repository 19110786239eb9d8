"""The realm as it ships: no way to log in that a log-out does not end, and none by password from a browser."""

import json
from pathlib import Path
from typing import Any

REALM: dict[str, Any] = json.loads((Path(__file__).parents[3] / "deploy/keycloak/realm.json").read_text())
CLIENTS: dict[str, dict[str, Any]] = {client["clientId"]: client for client in REALM["clients"]}


def test_nobody_can_have_a_token_that_outlives_its_log_in() -> None:
    scopes = {name: {*one["defaultClientScopes"], *one["optionalClientScopes"]} for name, one in CLIENTS.items()}

    assert [name for name, some in scopes.items() if "offline_access" in some] == []
    assert REALM["accessTokenLifespan"] <= 3_600


def test_only_a_client_with_a_secret_logs_in_by_password() -> None:
    by_password = [name for name, one in CLIENTS.items() if one["directAccessGrantsEnabled"] is True]

    assert by_password == ["petit-login"]
    assert not CLIENTS["petit-login"]["publicClient"]
    assert CLIENTS["petit-web"]["directAccessGrantsEnabled"] == "${PETIT_REALM_WEB_PASSWORD_GRANT:false}"
    assert CLIENTS["petit-web"]["attributes"]["pkce.code.challenge.method"] == "S256"
