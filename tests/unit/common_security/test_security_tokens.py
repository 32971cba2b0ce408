"""Tokens: believed only when whole, ours, and of this moment."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from modelog_common.domain.clock import ManualClock
from modelog_common.domain.errors import Invalid, Unauthenticated
from modelog_common.security.keys import create_key_pair
from modelog_common.security.tokens import Identity, TokenSigner, TokenVerifier

ALICE = Identity("alice", "acme", frozenset({"developer", "reviewer"}))
HOUR = timedelta(hours=1)


class Keys:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.key = Ed25519PrivateKey.generate()
        self.signer = TokenSigner(self.key, self.clock)
        self.verifier = TokenVerifier(self.key.public_key(), self.clock)

    def claims(self, **other: Any) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        whole = {
            "iss": "modelog", "sub": "alice", "tenant": "acme", "roles": ["viewer"],
            "iat": now, "exp": now + 3600, "jti": "1",
        }  # fmt: skip
        return {k: v for k, v in (whole | other).items() if v is not None}

    def forge(self, key: Any = None, algorithm: str = "EdDSA", **claims: Any) -> str:
        return jwt.encode(self.claims(**claims), key or self.key, algorithm=algorithm)


@pytest.fixture
def keys() -> Keys:
    return Keys()


def refused(keys: Keys, token: str) -> str:
    with pytest.raises(Unauthenticated) as error:
        keys.verifier.verify(token)
    return str(error.value)


def test_a_token_says_whose_it_is(keys: Keys) -> None:
    token = keys.signer.sign(ALICE, HOUR)
    assert keys.verifier.verify(token) == ALICE
    assert keys.verifier.verify(token) == ALICE


def test_a_token_carries_the_registered_claims(keys: Keys) -> None:
    token = keys.signer.sign(ALICE, HOUR, "token-7")
    assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
    claims = jwt.decode(token, options={"verify_signature": False})
    now = int(keys.clock.now().timestamp())
    assert claims == keys.claims(roles=["developer", "reviewer"], jti="token-7", exp=now + 3600)


def test_two_tokens_have_ids_of_their_own(keys: Keys) -> None:
    assert keys.signer.sign(ALICE, HOUR) != keys.signer.sign(ALICE, HOUR)


def test_a_token_expires_by_the_clock_that_was_handed_in(keys: Keys) -> None:
    token = keys.signer.sign(ALICE, HOUR)
    keys.clock.advance(HOUR - timedelta(seconds=1))
    assert keys.verifier.verify(token) == ALICE
    keys.clock.advance(timedelta(seconds=1))
    assert refused(keys, token) == "the token expired at 2026-01-01T01:00:00Z; ask for a new one"


def test_a_token_from_the_future_is_not_good_yet_but_clocks_may_differ_a_little(keys: Keys) -> None:
    token = keys.signer.sign(ALICE, HOUR)
    keys.clock.advance(timedelta(seconds=-60))
    assert keys.verifier.verify(token) == ALICE
    keys.clock.advance(timedelta(seconds=-1))
    assert refused(keys, token) == "the token is good only from 2026-01-01T00:00:00Z on; check the clocks"


def test_no_token(keys: Keys) -> None:
    assert "carries no token; send metadata `authorization: Bearer <token>`" in refused(keys, "")


def test_another_key(keys: Keys) -> None:
    assert "signature is wrong" in refused(keys, keys.forge(Ed25519PrivateKey.generate()))


def test_an_altered_claim(keys: Keys) -> None:
    head, body, signature = keys.signer.sign(ALICE, HOUR).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["roles"] = ["admin"]
    altered = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert "signature is wrong" in refused(keys, f"{head}.{altered}.{signature}")


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "é.é.é", "..", "\x00", "x" * 10_000])
def test_garbage(keys: Keys, token: str) -> None:
    assert refused(keys, token) == "the token is not a JWT signed with Ed25519"


def test_a_token_without_signature_is_not_believed(keys: Keys) -> None:
    assert refused(keys, jwt.encode(keys.claims(), None, algorithm="none")) == (
        "the token is not a JWT signed with Ed25519"
    )


def test_a_token_signed_with_the_public_key_as_a_password_is_not_believed(keys: Keys) -> None:
    public = keys.key.public_key().public_bytes_raw() + b"-" * 32
    assert "not a JWT signed with Ed25519" in refused(keys, keys.forge(public, "HS256"))


@pytest.mark.parametrize("claim", ["iss", "sub", "tenant", "roles", "exp", "iat", "jti"])
def test_every_claim_is_needed(keys: Keys, claim: str) -> None:
    assert refused(keys, keys.forge(**{claim: None})) == f"the token lacks the claim {claim!r}"


def test_another_issuer(keys: Keys) -> None:
    assert "expected the issuer 'modelog'" in refused(keys, keys.forge(iss="somebody"))


@pytest.mark.parametrize("wrong", [{"roles": "admin"}, {"roles": [1]}, {"tenant": 7}])
def test_claims_of_the_wrong_type(keys: Keys, wrong: dict[str, Any]) -> None:
    assert "must be text and roles a list of text" in refused(keys, keys.forge(**wrong))


@pytest.mark.parametrize("wrong", [{"exp": "soon"}, {"exp": 1e300}, {"iat": []}])
def test_times_that_are_none(keys: Keys, wrong: dict[str, Any]) -> None:
    text = refused(keys, keys.forge(**wrong))
    assert "is not a time in seconds" in text or "not a JWT" in text


def test_from_files(tmp_path: Path) -> None:
    clock = ManualClock()
    create_key_pair(tmp_path / "signing.pem", tmp_path / "public.pem")
    token = TokenSigner.from_file(tmp_path / "signing.pem", clock).sign(ALICE, HOUR)
    assert TokenVerifier.from_file(tmp_path / "public.pem", clock).verify(token) == ALICE
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        TokenVerifier.from_file(tmp_path / "other.pem", clock)
