"""Tokens that prove who calls: JWTs (RFC 7519) that the gateway signs with Ed25519; the public key checks them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from modelog_common.domain.clock import Clock
from modelog_common.domain.errors import Unauthenticated
from modelog_common.domain.ids import uuid7
from modelog_common.security.keys import load_private_key, load_public_key
from modelog_common.security.permissions import permissions_of

ALGORITHM = "EdDSA"
ISSUER = "modelog"
CLAIMS = ("iss", "sub", "tenant", "roles", "exp", "iat", "jti")
# A token from a machine whose clock is ahead of ours by this much is still believed.
CLOCK_SKEW = timedelta(seconds=60)
VERIFIED_TOKENS = 1024


@dataclass(frozen=True)
class Identity:
    """A caller: who, of which tenant, in which roles."""

    user: str
    tenant: str
    roles: frozenset[str]

    def may(self, permission: str) -> bool:
        """Whether one of the roles has the permission."""
        return permission in _allowed(self.roles)


@lru_cache(maxsize=256)
def _allowed(roles: frozenset[str]) -> frozenset[str]:
    return permissions_of(roles)


ANONYMOUS = Identity("anonymous", "", frozenset())


class TokenSigner:
    """Makes tokens; needs the private key."""

    def __init__(self, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._key, self._clock = key, clock

    @classmethod
    def from_file(cls, file: Path, clock: Clock) -> TokenSigner:
        """With the private key of a PEM file; raises Invalid when it cannot be used."""
        return cls(load_private_key(file), clock)

    def sign(self, identity: Identity, lifetime: timedelta, token_id: str = "") -> str:
        """A token that is good from now for `lifetime`; `token_id` (a fresh one when empty) becomes its jti."""
        now = self._clock.now()
        claims = {
            "iss": ISSUER,
            "sub": identity.user,
            "tenant": identity.tenant,
            "roles": sorted(identity.roles),
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
            "jti": token_id or str(uuid7()),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)


class TokenVerifier:
    """Tells whose a token is; needs only the public key."""

    def __init__(self, key: Ed25519PublicKey, clock: Clock) -> None:
        self._key, self._clock = key, clock
        # Checking a signature costs more than the rest of a small call, and callers send the same token again.
        self._checked = lru_cache(VERIFIED_TOKENS)(self._check)

    @classmethod
    def from_file(cls, file: Path, clock: Clock) -> TokenVerifier:
        """With the public key of a PEM file; raises Invalid when it cannot be used."""
        return cls(load_public_key(file), clock)

    def verify(self, token: str) -> Identity:
        """Whose token it is; raises Unauthenticated when it is missing, forged, incomplete, expired or not yet good."""
        if not token:
            raise Unauthenticated("the call carries no token; send metadata `authorization: Bearer <token>`")
        identity, issued_at, expires_at = self._checked(token)
        now = self._clock.now()
        if now >= expires_at:
            raise Unauthenticated(f"the token expired at {expires_at:%Y-%m-%dT%H:%M:%SZ}; ask for a new one")
        if now < issued_at - CLOCK_SKEW:
            raise Unauthenticated(f"the token is good only from {issued_at:%Y-%m-%dT%H:%M:%SZ} on; check the clocks")
        return identity

    def _check(self, token: str) -> tuple[Identity, datetime, datetime]:
        own_clock: Any = {"require": list(CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM], issuer=ISSUER, options=own_clock)
        except jwt.MissingRequiredClaimError as error:
            raise Unauthenticated(f"the token lacks the claim {error.claim!r}") from error
        except jwt.InvalidIssuerError as error:
            raise Unauthenticated(f"the token was issued by somebody else; expected the issuer {ISSUER!r}") from error
        except jwt.InvalidSignatureError as error:
            raise Unauthenticated(
                "the token's signature is wrong: it was altered, or signed with another key"
            ) from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated("the token is not a JWT signed with Ed25519") from error
        return _identity(claims), _time(claims, "iat"), _time(claims, "exp")


def _identity(claims: dict[str, Any]) -> Identity:
    user, tenant, roles = claims["sub"], claims["tenant"], claims["roles"]
    if not isinstance(roles, list) or not all(isinstance(text, str) for text in (user, tenant, *roles)):
        raise Unauthenticated("the token's claims sub and tenant must be text and roles a list of text")
    return Identity(user, tenant, frozenset(roles))


def _time(claims: dict[str, Any], name: str) -> datetime:
    try:
        return datetime.fromtimestamp(claims[name], UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise Unauthenticated(f"the token's claim {name!r} is not a time in seconds") from error
