"""Patterns of text in which % stands for any text and _ for any character, the same on every database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})


def like(column: ColumnElement[Any], pattern: str, dialect: str) -> ColumnElement[bool]:
    """Whether a text matches a pattern, capital letters counting; nothing in it is an escape.

    SQLite's own LIKE does not tell a from A, so GLOB stands for it. PostgreSQL and MariaDB compare bytes, so there _
    matches one byte of a letter that has several.
    """
    if dialect == "sqlite":
        return column.op("GLOB", is_comparison=True)(pattern.translate(_GLOB))
    return column.like(pattern.replace("\\", "\\\\"))
