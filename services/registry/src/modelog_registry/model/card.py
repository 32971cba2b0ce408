"""The parts of a model card that people write, and the rules of writing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from modelog_common.domain.errors import Invalid
from modelog_common.domain.semver import SemanticVersion
from modelog_common.events.types import event


class Owner(msgspec.Struct, frozen=True):
    """Who answers for the model."""

    name: str
    contact: str = ""


class License(msgspec.Struct, frozen=True):
    """An SPDX identifier, or a text of its own."""

    identifier: str = ""
    custom_text: str = ""


class Citation(msgspec.Struct, frozen=True):
    """How to cite the model."""

    style: str
    citation: str


class CardRisk(msgspec.Struct, frozen=True):
    """What could do harm, and what is done about it."""

    name: str
    mitigation_strategy: str = ""


class CardParts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is empty was not written. The names are those of Google's Model Card Toolkit."""

    overview: str = ""
    documentation: str = ""
    owners: tuple[Owner, ...] = ()
    diff: str = ""
    licenses: tuple[License, ...] = ()
    references: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    model_architecture: str = ""
    users: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()
    limitations: tuple[str, ...] = ()
    tradeoffs: tuple[str, ...] = ()
    ethical_considerations: tuple[CardRisk, ...] = ()

    def with_edit(self, edited: CardEdited) -> CardParts:
        """The parts after an edit."""
        return msgspec.structs.replace(self, **{name: EMPTY[name] for name in edited.cleared}, **_written(edited.parts))


@event("registry.CardEdited")
class CardEdited:
    """Parts of a version's card were written; those of `cleared` were emptied.

    Some of the parts may have been taken over, as they stood then, from the card of the version `taken_from`.
    """

    model_id: str
    model: str
    version: str
    parts: CardParts
    cleared: tuple[str, ...]
    by: str
    at: datetime
    taken_from: str = ""


@dataclass(frozen=True)
class EditCard:
    """Write parts of a version's card, after taking over those of `taken_from`: a version, LAST, or "" for none."""

    model: str
    version: SemanticVersion
    parts: CardParts
    cleared: tuple[str, ...] = ()
    taken_from: str = ""


LAST = "last"


NOTHING = CardParts()
PARTS = tuple(field.name for field in msgspec.structs.fields(CardParts))
EMPTY = {field.name: field.default for field in msgspec.structs.fields(CardParts)}


def taken_over(source: CardParts, into: CardParts, command: EditCard) -> CardParts:
    """What the command writes, and of `source` what nobody has written; what changed before is no longer news."""
    left = {*command.cleared, "diff", *_written(into), *_written(command.parts)}
    return msgspec.structs.replace(command.parts, **{k: v for k, v in _written(source).items() if k not in left})


def _written(parts: CardParts) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(parts).items() if value}


def check_card(command: EditCard) -> None:
    """Raises Invalid, naming the part that says nothing, is no part, or contradicts itself."""
    for n, name in enumerate(command.cleared):
        if name not in PARTS:
            raise Invalid.field(f"cleared[{n}]", f"{name!r} is no part of a card; there are {', '.join(PARTS)}")
        if getattr(command.parts, name):
            raise Invalid.field(f"cleared[{n}]", f"{name} is written in parts too; a part is written or cleared")
    for n, license in enumerate(command.parts.licenses):
        if bool(license.identifier) == bool(license.custom_text):
            raise Invalid.field(f"parts.licenses[{n}]", "has either an identifier or a custom_text, and not both")
    _check_references(command.parts.references)
    for name in PARTS:
        value = getattr(command.parts, name)
        empty = next((n for n, text in enumerate(value) if text == ""), None) if isinstance(value, tuple) else None
        if empty is not None:
            raise Invalid.field(f"parts.{name}[{empty}]", "is empty; leave it out")


def _check_references(references: Sequence[str]) -> None:
    for n, reference in enumerate(references):
        try:
            scheme = urlsplit(reference).scheme
        except ValueError:
            scheme = ""
        if scheme not in ("http", "https", "urn", "doi"):
            raise Invalid.field(f"parts.references[{n}]", f"{reference!r} is no address; use https:, urn: or doi:")
