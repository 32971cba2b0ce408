"""An input of the fuzzer: how the bytes are cut, how much the wire takes, and the bytes; kept as lines of hex."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

for folder in ("edge", "grpc_client"):
    sys.path.append(str(Path(__file__).parents[1] / "contract" / folder))

CORPUS = Path(__file__).parent / "corpus"
TAKES = (1 << 60, 200, 100_000)
CONTROL_BYTES = 2


def parsed(data: bytes) -> tuple[bytes, list[int], int]:
    """(the bytes, sizes of the pieces, what the wire takes); the first two bytes say how."""
    control, stream = data[:CONTROL_BYTES].ljust(CONTROL_BYTES, b"\0"), data[CONTROL_BYTES:]
    size = control[0] % 64
    return stream, [size, 1 + size // 3] if size else [max(len(stream), 1)], TAKES[control[1] % len(TAKES)]


def corpus_of(target: str) -> list[bytes]:
    """The inputs that were kept; each reaches something that no other does."""
    return [bytes.fromhex(line) for line in (CORPUS / f"{target}.hex").read_text().split()]


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Put these in the corpus's place."""
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target}.hex").write_text(
        "".join(f"{data.hex()}\n" for data in sorted(inputs, key=lambda d: (len(d), d)))
    )
