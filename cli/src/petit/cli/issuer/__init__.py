"""The development issuer: log-in for one machine, by the endpoint paths of Keycloak 26.

It is an ASGI app that every edge process serves beside the API. Keys, people and log-ins live in one
small SQLite file below `--data`, which all these processes share. It is not for production: its people
have their name as password.
"""

from petit.cli.issuer.app import issuer, rotate
from petit.cli.issuer.people import user_id
from petit.cli.issuer.settings import Settings
from petit.cli.issuer.store import Unusable

__all__ = ["Settings", "Unusable", "issuer", "rotate", "user_id"]
