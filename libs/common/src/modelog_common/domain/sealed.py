"""A text that only its subject's key opens: what stands in commands, events, states and tables in place of the text.

Personal data and secrets are sealed at the edge, before a command is made of them, and opened at the edge, when a
query is answered. In between nothing holds the plain text, so erasing a subject is destroying its key.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sealed:
    """AES-256-GCM: the id of the key, the nonce, and the ciphertext with its tag; the latter two as base64.

    Sealing the same text for the same field of the same subject gives the same value, so deciders can compare.
    """

    key: str
    nonce: str
    ciphertext: str
