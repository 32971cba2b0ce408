"""Column types that hold and compare the same on SQLite, PostgreSQL and MariaDB or MySQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, String
from sqlalchemy.types import TypeDecorator, TypeEngine

# Three texts of this length and three numbers still fit into one index of MariaDB, which holds 3,072 bytes.
KEY_LENGTH = 250
UTF8_BYTES = 4
MYSQL = ("mysql", "mariadb")


class ByteText(TypeDecorator[str]):
    """Text that is compared and ordered by its UTF-8 bytes: case, accents, spaces at the end and NUL count.

    SQLite does so by itself. The others would follow a collation, and PostgreSQL's text holds no NUL: they get bytes.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int = KEY_LENGTH) -> None:
        super().__init__(length)
        self._length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(self._length))
        if dialect.name in MYSQL:
            # Only those load the dialect who have such a database: it is a part of what a start takes.
            from sqlalchemy.dialects.mysql import VARBINARY

            return dialect.type_descriptor(VARBINARY(self._length * UTF8_BYTES))
        return dialect.type_descriptor(LargeBinary())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "sqlite" else value.encode()

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value.decode() if isinstance(value, bytes) else value


class Document(TypeDecorator[bytes]):
    """Bytes of any length: a plain BLOB of MariaDB ends at 64 KiB."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in MYSQL:
            return dialect.type_descriptor(LargeBinary())
        from sqlalchemy.dialects.mysql import LONGBLOB

        return dialect.type_descriptor(LONGBLOB())


def document() -> TypeEngine[bytes]:
    """The type of a column that holds a whole document."""
    return Document()


def row_id() -> TypeEngine[int]:
    """A number that the database counts up; SQLite does so for INTEGER only."""
    return BigInteger().with_variant(Integer(), "sqlite")
