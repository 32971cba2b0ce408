"""Answers as the bytes that their digests are made of: the JSON of the REST interface, in one form only."""

from __future__ import annotations

import hashlib
import json

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def canonical(message: Message) -> bytes:
    """All fields, also the empty ones, with sorted names and no white space, in UTF-8."""
    plain = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(message: Message) -> str:
    """SHA-256 of it, in lower-case hexadecimal."""
    return hashlib.sha256(canonical(message)).hexdigest()
