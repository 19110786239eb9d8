"""An issuer as far as keys go: discovery and one key, on a port of its own. It signs nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from petit.kit.serving import listen, serving

REALM = "/realms/petit"


@asynccontextmanager
async def keys_shown(port: int) -> AsyncIterator[None]:
    """Show a key at `http://127.0.0.1:<port>/realms/petit` until the block ends."""
    url = f"http://127.0.0.1:{port}{REALM}"
    key = RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(), as_dict=True)

    async def discovery(_: Request) -> JSONResponse:
        return JSONResponse({"issuer": url, "jwks_uri": f"{url}/certs"})

    async def certs(_: Request) -> JSONResponse:
        return JSONResponse({"keys": [key | {"kid": "k", "alg": "RS256"}]})

    routes = [Route(f"{REALM}/.well-known/openid-configuration", discovery), Route(f"{REALM}/certs", certs)]
    async with serving(Starlette(routes=routes), sock=listen("127.0.0.1", port=port)):
        yield
