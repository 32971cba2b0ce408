"""What a replica is made of, and the name of the application that has it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from modelog_serving.deployment.signature import Signature
from modelog_serving.worker.limits import Limits

DIGITS = 20


class Spec(msgspec.Struct, frozen=True):
    """A model file in a folder that the nodes of Ray see, and what an answer of it may take.

    `code` is the version of serving: what it makes of a file may differ from what the next one does. With `original` no
    engine but the library's own answers.
    """

    digest: str
    flavor: str
    signature: Signature
    folder: str
    threads: int
    predict_s: float
    load_s: float
    memory_bytes: int
    code: str
    original: bool = False

    @property
    def limits(self) -> Limits:
        """As every model has them that answers from a process of its own."""
        return Limits(self.predict_s, self.load_s, self.memory_bytes)

    @property
    def path(self) -> Path:
        return Path(self.folder)


def prefix_of(installation: str) -> str:
    """How the names of all applications of an installation begin."""
    return f"modelog-{installation}-"


def name_of(installation: str, spec: Spec) -> str:
    """The same for the same model, whoever asks: so an application is found again after a restart."""
    return prefix_of(installation) + sha256(msgspec.json.encode(spec)).hexdigest()[:DIGITS]
