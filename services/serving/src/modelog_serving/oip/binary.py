"""Tensors in binary behind the JSON of a REST body, as the protocol's extension `binary_tensor_data` has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from modelog_common.domain.errors import Invalid
from modelog_common.edge.http1_answer import Answer

from modelog_serving.oip.tensors import Tensor

HEADER = "Inference-Header-Content-Length"
CONTENT_TYPE = "application/octet-stream"
SIZE = "binary_data_size"


class Behind:
    """What is behind the JSON of a body, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, where: str, size: object) -> bytes:
        """The next bytes; raises Invalid when there are not so many."""
        left = len(self._data) - self._at
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= left:
            raise Invalid.field(
                f"{where}.parameters.{SIZE}", f"is {size!r}; there are {left} bytes left behind the JSON, see {HEADER}"
            )
        self._at += size
        return self._data[self._at - size : self._at]

    def check_taken(self) -> None:
        """Raises Invalid when some are left."""
        if self._at < len(self._data):
            raise Invalid.field(
                "body", f"has {len(self._data) - self._at} bytes that belong to no input; each tells its {SIZE}"
            )


def split(length: str, body: bytes) -> tuple[bytes, Behind]:
    """The JSON, and what is behind it; `length` is what the header says, empty where there is none."""
    if not length:
        return body, Behind(b"")
    if not (length.isascii() and length.isdigit() and len(length) < 20 and 0 < int(length) <= len(body)):
        raise Invalid.field(
            HEADER,
            f"is {length[:40]!r}; it must be the length of the JSON, a whole number up to the body's {len(body)}",
        )
    return body[: int(length)], Behind(body[int(length) :])


@dataclass(frozen=True)
class Form:
    """Which outputs are wanted in binary: by name, the others as `rest` says."""

    rest: bool = False
    named: Mapping[str, bool] = field(default_factory=dict)

    def is_binary(self, output: str) -> bool:
        return self.named.get(output, self.rest)


def answer_of(head: dict[str, Any], tensors: list[Tensor]) -> Answer:
    """JSON, with these tensors' elements behind it."""
    body = msgspec.json.encode(head)
    if not tensors:
        return Answer(body)
    whole = b"".join((body, *(tensor.binary() for tensor in tensors)))
    return Answer(whole, content_type=CONTENT_TYPE, headers={HEADER: str(len(body))})
