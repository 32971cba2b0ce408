"""Looks for a text in bytes, in every form that a store, a log or a wire format may have written it in."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote


def forms(text: str) -> dict[str, bytes]:
    """The bytes of a text by the name of their encoding; base64 at each of its three alignments."""
    raw = text.encode()
    found = {
        "utf-8": raw,
        "utf-16-le": text.encode("utf-16-le"),
        "utf-16-be": text.encode("utf-16-be"),
        "latin-1": text.encode("latin-1"),
        "json": json.dumps(text)[1:-1].encode(),
        "url": quote(text, safe="").encode(),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
    }
    for shift in range(3):
        # Only whole groups of three bytes: what stands beside the text must not matter.
        inner = raw[shift:]
        inner = inner[: len(inner) // 3 * 3]
        found[f"base64+{shift}"] = base64.b64encode(inner)
        found[f"base64url+{shift}"] = base64.urlsafe_b64encode(inner)
    return found


def traces_in(content: bytes, text: str) -> list[str]:
    """In which encodings the text stands in these bytes."""
    return [name for name, form in forms(text).items() if form in content]


def traces(folder: Path, text: str) -> Iterator[str]:
    """Every file under a folder that holds the text in its bytes or its name, with the encoding."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            try:
                content = file.read_bytes()
            except FileNotFoundError:  # a running server cleans up
                continue
            content += b"\n" + str(file.relative_to(folder)).encode()
            yield from (f"{file.relative_to(folder)} ({name})" for name in traces_in(content, text))
