"""Reads files of scikit-learn's models: skops by what it is known to be harmless, pickles only of approved versions.

A pickle is a program: whoever reads it runs it, and whoever may register a version would have this process at their
command. So somebody else must have approved the version first. A file of skops names the types that it is made of, and
nothing runs before they were looked at. https://docs.python.org/3/library/pickle.html,
https://skops.readthedocs.io/en/stable/persistence.html
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import joblib
import skops.io
from modelog_common.domain.errors import NotAllowed

from modelog_serving.engine.failed import NeedsApproval

ZIP = b"PK\x03\x04"
# Of what a file of skops may become when it is unpacked.
MOST_BYTES = 2 << 30
HOW = (
    "have the version approved by somebody else and promoted to staging, for then its file may run code; "
    "or save the model with skops (skops.io.dump, or MLflow's serialization_format='skops')"
)


def read(content: bytes, approved: bool) -> Any:
    """What the file holds; raises NotAllowed for a file that is broken, or may not be read before it is approved."""
    if content.startswith(ZIP):
        return _of_skops(content, approved)
    if not approved:
        raise NeedsApproval(f"the model file is not one of skops, and reading a pickle runs the code in it: {HOW}")
    return _told(lambda: joblib.load(io.BytesIO(content)), "a pickle")


def risky(content: bytes) -> bool:
    """Whether a model is one that nobody vouches for: a pickle, or types that skops does not know."""
    if not content.startswith(ZIP):
        return True
    try:
        return bool(skops.io.get_untrusted_types(data=content))
    except Exception:  # a file that cannot be read: loading it says why
        return False


def _of_skops(content: bytes, approved: bool) -> Any:
    _told(lambda: _check_size(content), "a file of skops")
    unknown: list[str] = _told(lambda: skops.io.get_untrusted_types(data=content), "a file of skops")
    if unknown and not approved:
        raise NeedsApproval(
            f"the model file holds {', '.join(unknown[:10])}, which skops does not know to be harmless: {HOW}, "
            "without such types"
        )
    return _told(lambda: skops.io.loads(content, trusted=unknown), "a file of skops")


def _check_size(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        size = sum(info.file_size for info in packed.infolist())
    if size > MOST_BYTES:
        raise NotAllowed(f"the model file has {size} bytes when it is unpacked; at most {MOST_BYTES} are read")


def _told(read_it: Callable[[], Any], what: str) -> Any:
    try:
        return read_it()
    except NotAllowed:
        raise
    except Exception as error:  # whatever the classes in the file raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:500]
        raise NotAllowed(f"the model file cannot be read as {what}: {reason}") from error
