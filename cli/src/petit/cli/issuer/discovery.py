"""What anyone may know of the issuer: its endpoints and its public keys."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petit.cli.issuer.grants import GRANTS
from petit.cli.issuer.realm import OIDC, Realm


def configuration(_: Request, *, realm: Realm) -> Response:
    """Answer `GET /.well-known/openid-configuration` (OpenID Connect Discovery, 3)."""
    endpoints = realm.base_url + OIDC
    return JSONResponse(
        {
            "issuer": realm.url,
            "authorization_endpoint": f"{endpoints}/auth",
            "token_endpoint": f"{endpoints}/token",
            "userinfo_endpoint": f"{endpoints}/userinfo",
            "end_session_endpoint": f"{endpoints}/logout",
            "jwks_uri": f"{endpoints}/certs",
            "grant_types_supported": list(GRANTS),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile", "email"],
            "prompt_values_supported": ["none", "login"],
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "name", "preferred_username"],
            "authorization_response_iss_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
        }
    )


def certs(_: Request, *, realm: Realm) -> Response:
    """Answer `GET …/certs` with the keys whose tokens may still be good (RFC 7517, 5)."""
    keys = [key.public_jwk() for key in realm.keys.listed(now=realm.now())]
    return JSONResponse({"keys": keys}, headers={"Cache-Control": "no-cache"})
