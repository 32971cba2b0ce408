"""Sealed texts: they open with their key for their field, and with nothing else."""

from __future__ import annotations

import base64
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelog_common.domain.sealed import Sealed
from modelog_common.privacy.cipher import Altered, new_key, open_text, seal_text, unwrap_key, wrap_key

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
FIELD = "gateway.user.email"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_a_sealed_text_opens_and_holds_no_plain_text(text: str) -> None:
    sealed = seal_text(KEY, "k", FIELD, text)
    assert open_text(KEY, FIELD, sealed) == text
    stored = msgspec.json.encode(sealed)
    assert msgspec.json.decode(stored, type=Sealed) == sealed
    if len(text) > 4:
        assert text.encode() not in stored + base64.b64decode(sealed.ciphertext)


@given(TEXTS, TEXTS)
def test_the_same_text_gives_the_same_value_and_another_text_another_nonce(one: str, two: str) -> None:
    first, second = seal_text(KEY, "k", FIELD, one), seal_text(KEY, "k", FIELD, two)
    assert (first == second) == (one == two) == (first.nonce == second.nonce)
    assert seal_text(KEY, "k", "other.field", one).nonce != first.nonce
    assert seal_text(OTHER, "k", FIELD, one).nonce != first.nonce


@given(TEXTS, st.integers(min_value=0), st.integers(0, 7))
def test_one_flipped_bit_is_found(text: str, where: int, bit: int) -> None:
    sealed = seal_text(KEY, "k", FIELD, text)
    for part in ("nonce", "ciphertext"):
        raw = bytearray(base64.b64decode(getattr(sealed, part)))
        raw[where % len(raw)] ^= 1 << bit
        with pytest.raises(Altered):
            open_text(KEY, FIELD, replace(sealed, **{part: base64.b64encode(raw).decode()}))


def test_a_sealed_text_cannot_be_moved_to_another_field_or_subject() -> None:
    sealed = seal_text(KEY, "k", FIELD, "bob@example.org")
    with pytest.raises(Altered, match=r"gateway\.user\.full_name was not sealed with the key k for this field"):
        open_text(KEY, "gateway.user.full_name", sealed)
    with pytest.raises(Altered):
        open_text(KEY, FIELD, replace(sealed, key="another subject"))
    with pytest.raises(Altered):
        open_text(OTHER, FIELD, sealed)
    with pytest.raises(Altered):
        open_text(KEY, FIELD, Sealed("k", "no base64", "at all"))


def test_the_length_of_a_short_text_cannot_be_told() -> None:
    assert len({len(seal_text(KEY, "k", FIELD, "x" * n).ciphertext) for n in range(31)}) == 1


def test_what_was_sealed_by_an_earlier_release_is_opened() -> None:
    sealed = Sealed("k", "2YhSqBd5SXvkxzXM", "rCZ3EaP6Uz2Uz+JXcGSlmapuxEKUsDoPTERtKHfBJIAWoN1v+dC9z6AgK2tWX0oB")
    assert open_text(KEY, FIELD, sealed) == "bob@example.org"
    assert seal_text(KEY, "k", FIELD, "bob@example.org") == sealed


def test_a_data_key_is_unwrapped_by_its_master_key_under_its_own_id() -> None:
    key = new_key()
    wrapped = wrap_key(KEY, "k", key)
    assert unwrap_key(KEY, "k", wrapped) == key
    assert key not in wrapped
    for master, key_id, content in (
        (OTHER, "k", wrapped),
        (KEY, "j", wrapped),
        (KEY, "k", wrapped[:-1]),
        (KEY, "k", b""),
    ):
        with pytest.raises(Altered, match="not wrapped with this master key"):
            unwrap_key(master, key_id, content)
