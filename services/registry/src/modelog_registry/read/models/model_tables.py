"""The read tables of models, their versions, and what they are searched by."""

from __future__ import annotations

from modelog_common.read.tables import temporal_table
from modelog_common.read.text import ByteText
from sqlalchemy import BigInteger, Column, ColumnElement, Integer, select

from modelog_registry.read.tables import TABLES

# As much of a tag as is searched: all that the contract takes.
TAG_LENGTH = 4096
KEY_LENGTH = 250


def _entity() -> Column[str]:
    """The id of the model that a row belongs to: it stays when the model gets another name, which ends most rows."""
    return Column("entity", ByteText(40), nullable=False)


# Whose a name is; it stays so when the model is deleted, until it gets another name.
MODEL_NAMES = temporal_table(TABLES, "model_names", key=["name"], columns=[_entity()])

MODELS = temporal_table(
    TABLES,
    "models",
    key=["name"],
    columns=[
        _entity(),
        # The name as it compares when capital letters do not count.
        Column("folded", ByteText(500), nullable=False),
        Column("type", ByteText(20), nullable=False),
        Column("author", ByteText(200), nullable=False),
        Column("created_us", BigInteger, nullable=False),
        Column("updated_us", BigInteger, nullable=False),
    ],
)

VERSIONS = temporal_table(
    TABLES,
    "model_versions",
    key=["model", "version"],
    columns=[
        _entity(),
        Column("folded", ByteText(500), nullable=False),
        Column("stage", ByteText(20), nullable=False),
        Column("author", ByteText(200), nullable=False),
        Column("run_id", ByteText(100), nullable=False),
        Column("flavor", ByteText(50), nullable=False),
        Column("source", ByteText(2000), nullable=False),
        # The run or logged model that the source names, "" when it names none.
        Column("source_id", ByteText(100), nullable=False),
        Column("created_us", BigInteger, nullable=False),
        Column("updated_us", BigInteger, nullable=False),
        Column("ordinal", Integer, nullable=False),
        # What its tags are found by: "model/version".
        Column("tagged", ByteText(), nullable=False),
    ],
    orders=[["model", "stage", "ordinal"], ["run_id"], ["source_id"]],
)

ALIASES = temporal_table(
    TABLES, "model_aliases", key=["model", "alias"], columns=[Column("version", ByteText(40), nullable=False)]
)

MODEL_TAGS = temporal_table(
    TABLES,
    "model_tags",
    key=["tagged", "tag"],
    columns=[
        Column("value", ByteText(TAG_LENGTH), nullable=False),
        Column("folded", ByteText(TAG_LENGTH), nullable=False),
    ],
)

VERSION_TAGS = temporal_table(
    TABLES,
    "version_tags",
    key=["tagged", "tag"],
    columns=[
        Column("value", ByteText(TAG_LENGTH), nullable=False),
        Column("folded", ByteText(TAG_LENGTH), nullable=False),
    ],
)

# Promotions to staging and production, with what the rules looked at: they are replayed under other rules.
PROMOTIONS = temporal_table(
    TABLES, "promotions", key=["entity", "told"], columns=[Column("at_position", BigInteger, nullable=False)]
)

POLICIES = temporal_table(
    TABLES, "promotion_policies", key=["workspace", "version"], columns=[Column("number", Integer, nullable=False)]
)

# One row for each event of a model; they stay when it is deleted.
MODEL_FACTS = temporal_table(
    TABLES,
    "model_facts",
    key=["entity", "told"],
    columns=[Column("version", ByteText(40), nullable=False), Column("ordinal", BigInteger, nullable=False)],
)

# Change requests; they stay when their version or model is deleted.
CHANGES = temporal_table(
    TABLES,
    "change_requests",
    key=["model", "change"],
    columns=[
        _entity(),
        Column("version", ByteText(40), nullable=False),
        Column("state", ByteText(20), nullable=False),
        Column("created_us", BigInteger, nullable=False),
        Column("ordinal", Integer, nullable=False),
    ],
)

# What people wrote in the card of a version.
CARDS = temporal_table(TABLES, "model_cards", key=["model", "version"], columns=[_entity()])

# The signatures of versions.
SIGNATURES = temporal_table(
    TABLES,
    "model_signatures",
    key=["entity", "told"],
    columns=[Column("version", ByteText(40), nullable=False), Column("ordinal", BigInteger, nullable=False)],
)

# The last retirement that was announced of each version.
RETIREMENTS = temporal_table(
    TABLES,
    "retirements",
    key=["model", "version"],
    columns=[_entity(), Column("state", ByteText(20), nullable=False), Column("due_us", BigInteger, nullable=False)],
)

RETIREMENT_POLICIES = temporal_table(
    TABLES, "retirement_policies", key=["version"], columns=[Column("number", Integer, nullable=False)]
)

# Every version of the targets of each model.
SLAS = temporal_table(
    TABLES, "model_slas", key=["entity", "number"], columns=[Column("at_position", BigInteger, nullable=False)]
)


def called(entity: ColumnElement[str], name: str, tenant: str, at: int | None) -> list[ColumnElement[bool]]:
    """That something belongs to the model that has a name, or had it as of a position."""
    n = MODEL_NAMES.table.c
    return [entity.in_(select(n.entity).where(n.tenant == tenant, MODEL_NAMES.at(at), n.name == name))]
