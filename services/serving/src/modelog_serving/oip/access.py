"""Who may ask for predictions: the bearer token of every other call, with the permission to read deployments."""

from __future__ import annotations

from modelog_common.domain.errors import Forbidden, Unauthenticated
from modelog_common.security.tokens import Identity, TokenVerifier

PERMISSION = "deployment.read"


# Taking models into memory and out of it.
LOADING = "deployment.write"


def identify(verifier: TokenVerifier, token: str, permission: str = PERMISSION) -> Identity:
    """The caller; raises Unauthenticated, or Forbidden when the caller may not ask."""
    if not token:
        raise Unauthenticated("the call carries no token; send `authorization: Bearer <token>`")
    identity = verifier.verify(token)
    permit(identity, permission)
    return identity


def permit(identity: Identity, permission: str) -> None:
    """Raises Forbidden when the caller lacks the permission."""
    if not identity.may(permission):
        roles = ", ".join(sorted(identity.roles)) or "none"
        raise Forbidden(f"{identity.user} lacks the permission {permission}; their roles are {roles}")


def bearer(header: str) -> str:
    """The token of an authorization header, "" when there is none; raises Unauthenticated for another scheme."""
    scheme, _, token = header.partition(" ")
    if token and scheme.lower() != "bearer":
        raise Unauthenticated(f"the authorization scheme {scheme[:20]!r} is not known; send `Bearer <token>`")
    return token.strip()
