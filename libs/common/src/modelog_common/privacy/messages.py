"""Sealed texts in the messages that read tables hold, and their opening before a query is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from google.protobuf.message import Message

from modelog_common.domain.sealed import Sealed
from modelog_common.privacy.subjects import Subjects

_DECODER = msgspec.json.Decoder(Sealed)


def sealed_text(sealed: Sealed | None) -> str:
    """What a text field of a message holds until it is opened: the JSON of the sealed text."""
    return "" if sealed is None else msgspec.json.encode(sealed).decode()


def sealed_of(text: str) -> Sealed:
    """The other way; raises msgspec.MsgspecError for anything else."""
    return _DECODER.decode(text)


async def open_fields(subjects: Subjects, messages: Iterable[Message], places: Mapping[str, str]) -> None:
    """Open text fields in place; `places` says for which field each was sealed: {"email": "gateway.user.email"}."""
    found = [(m, name, place) for m in messages for name, place in places.items() if getattr(m, name)]
    texts = await subjects.open_all([(place, _DECODER.decode(getattr(m, name))) for m, name, place in found])
    for (message, name, _), text in zip(found, texts, strict=True):
        setattr(message, name, text)
