"""Who is asking: access tokens verified here, with the issuer's public keys and nothing else.

A token is verified once and remembered by its hash until it expires, so that a request pays some
two microseconds for it. What is wrong with a token is a `Refused` (`token.missing`, `token.invalid`,
`token.expired`); keys that cannot be had are `Unavailable`, never a refusal.
"""

from petit.kit.auth.bearer import bearer, challenge
from petit.kit.auth.keys import Keys, Refetch
from petit.kit.auth.logout import LogoutToken
from petit.kit.auth.policy import Policy
from petit.kit.auth.principal import Principal
from petit.kit.auth.revocations import Revocations, recall
from petit.kit.auth.verifier import Verifier, verifying

__all__ = [
    "Keys",
    "LogoutToken",
    "Policy",
    "Principal",
    "Refetch",
    "Revocations",
    "Verifier",
    "bearer",
    "challenge",
    "recall",
    "verifying",
]
