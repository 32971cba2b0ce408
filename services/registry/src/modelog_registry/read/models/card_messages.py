"""What people wrote in model cards, between messages and parts."""

from __future__ import annotations

import msgspec
from google.protobuf.json_format import MessageToDict, ParseDict
from modelog_proto.registry.v1 import card_pb2 as pb

from modelog_registry.model.card import CardEdited, CardParts
from modelog_registry.model.version import Version
from modelog_registry.read.messages import timestamp


def written_message(version: Version, position: int) -> pb.ModelCard:
    """What people wrote, and nothing that the platform knows by itself."""
    edited = version.card_edited
    return pb.ModelCard(
        model=version.content.model,
        version=version.content.version,
        parts=parts_message(version.card),
        edited_by=edited.by if edited is not None else "",
        edited_at=timestamp(edited.at) if edited is not None else None,
        position=position,
        taken_from=version.card_taken_from,
    )


def parts_message(parts: CardParts) -> pb.CardParts:
    """The fields are called the same on both sides."""
    return ParseDict(msgspec.to_builtins(parts), pb.CardParts())


def parts_of(message: pb.CardParts) -> CardParts:
    return msgspec.convert(MessageToDict(message, preserving_proto_field_name=True), CardParts)


def named(event: CardEdited) -> list[str]:
    """The names of the parts that an edit changes."""
    return [*(name for name, value in msgspec.structs.asdict(event.parts).items() if value), *event.cleared]
