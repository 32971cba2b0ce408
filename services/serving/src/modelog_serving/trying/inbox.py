"""The versions that the registry told of, and which of them wait to be tried."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import msgspec
from modelog_common.bus.inbox_file import InboxFile
from modelog_common.events.store import StoredEvent

from modelog_serving.deployment.commands import SERVABLE_STAGES
from modelog_serving.deployment.signature import Signature
from modelog_serving.trying.rows import EXAMPLES, MOST_EXAMPLE_BYTES

CONSUMER = "serving.trials"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
  tenant TEXT NOT NULL, model_id TEXT NOT NULL, version TEXT NOT NULL, model TEXT NOT NULL, digest TEXT NOT NULL,
  flavor TEXT NOT NULL, signature TEXT NOT NULL, example TEXT NOT NULL, example_digest TEXT NOT NULL,
  stage TEXT NOT NULL, approved INTEGER NOT NULL, changed INTEGER NOT NULL, waits INTEGER NOT NULL,
  PRIMARY KEY (tenant, model_id, version)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON versions (changed) WHERE waits = 1;
"""
_COLUMNS = (
    "tenant, model_id, version, model, digest, flavor, signature, example, example_digest, stage, approved, changed"
)


class _Artifact(msgspec.Struct):
    path: str
    digest: str
    size_bytes: int = 0


class _VersionRegistered(msgspec.Struct):
    model_id: str
    model: str
    version: str
    flavor: str
    signature: Signature
    artifact: _Artifact | None = None
    artifacts: tuple[_Artifact, ...] = ()


class _VersionReviewed(msgspec.Struct):
    model_id: str
    version: str
    decision: str


class _VersionPromoted(msgspec.Struct):
    model_id: str
    version: str
    to_stage: str


class _ModelRenamed(msgspec.Struct):
    model_id: str
    name: str


class _VersionDeleted(msgspec.Struct):
    model_id: str
    version: str


class _ModelDeleted(msgspec.Struct):
    model_id: str


@dataclass(frozen=True)
class Waiting:
    """A version to be tried; `changed` is the position of the last event that concerns this."""

    tenant: str
    model_id: str
    version: str
    model: str
    digest: str
    flavor: str
    signature: Signature
    example: str
    example_digest: str
    vouched: bool
    changed: int

    @property
    def key(self) -> tuple[str, str, str]:
        """Which version it is."""
        return self.tenant, self.model_id, self.version


class TrialInbox(InboxFile):
    """What is tried: versions with a file."""

    consumer = CONSUMER
    what = "the inbox of trials"
    schema = _SCHEMA
    tables = ("versions",)

    def _keep(self, event: StoredEvent) -> bool:
        match event.type:
            case "registry.VersionRegistered":
                return self._register(event, msgspec.json.decode(event.payload, type=_VersionRegistered))
            case "registry.VersionReviewed":
                reviewed = msgspec.json.decode(event.payload, type=_VersionReviewed)
                approved = reviewed.decision == "approved"
                return self._change(event, reviewed.model_id, reviewed.version, "approved", approved)
            case "registry.VersionPromoted":
                moved = msgspec.json.decode(event.payload, type=_VersionPromoted)
                return self._change(event, moved.model_id, moved.version, "stage", moved.to_stage)
            case "registry.ModelRenamed":
                renamed = msgspec.json.decode(event.payload, type=_ModelRenamed)
                asked = "UPDATE versions SET model = ? WHERE tenant = ? AND model_id = ?"
                self._db.execute(asked, (renamed.name, event.tenant, renamed.model_id))
            case "registry.VersionDeleted":
                gone = msgspec.json.decode(event.payload, type=_VersionDeleted)
                asked = "DELETE FROM versions WHERE tenant = ? AND model_id = ? AND version = ?"
                self._db.execute(asked, (event.tenant, gone.model_id, gone.version))
            case "registry.ModelDeleted":
                model = msgspec.json.decode(event.payload, type=_ModelDeleted)
                asked = "DELETE FROM versions WHERE tenant = ? AND model_id = ?"
                self._db.execute(asked, (event.tenant, model.model_id))
        return False

    def _register(self, event: StoredEvent, told: _VersionRegistered) -> bool:
        if told.artifact is None:
            return False
        example, digest = _example(told.artifacts)
        signature = msgspec.json.encode(told.signature).decode()
        row = (
            event.tenant, told.model_id, told.version, told.model, told.artifact.digest, told.flavor, signature,
            example, digest, "development", False, event.position,
        )  # fmt: skip
        self._db.execute(f"INSERT OR REPLACE INTO versions VALUES ({'?, ' * len(row)}1)", row)
        return True

    def _change(self, event: StoredEvent, model_id: str, version: str, column: str, value: Any) -> bool:
        """What was not tried for want of an approval is tried when there is one; the rest is known already."""
        which = "tenant = ? AND model_id = ? AND version = ?"
        asked = f"UPDATE versions SET {column} = ?, changed = ?, waits = 1 WHERE {which}"
        return self._db.execute(asked, (value, event.position, event.tenant, model_id, version)).rowcount > 0

    def all_wait(self) -> None:
        """Look at every version again, as after a start: what runs them may have changed."""
        self._db.execute("UPDATE versions SET waits = 1")

    def wait_again(self, tenant: str, model: str, version: str) -> None:
        """Look at a version again soon; one that the topic has not told of yet waits when it does."""
        asked = "UPDATE versions SET waits = 1 WHERE tenant = ? AND model = ? AND version = ?"
        self._db.execute(asked, (tenant, model, version))

    def next(self, but: Container[tuple[str, str, str]] = ()) -> Waiting | None:
        """The newest version that waits, but these; None when there is none."""
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM versions WHERE waits = 1 ORDER BY changed DESC"):
            tenant, model_id, version, model, digest, flavor, signed, example, example_digest, stage, approved, at = row
            if (tenant, model_id, version) not in but:
                signature = msgspec.json.decode(signed, type=Signature)
                vouched = bool(approved) and stage in SERVABLE_STAGES
                named = (tenant, model_id, version, model, digest, flavor)
                return Waiting(*named, signature, example, example_digest, vouched, at)
        return None

    def done(self, waiting: Waiting) -> None:
        """It need not wait any more, unless something has changed."""
        asked = "UPDATE versions SET waits = 0 WHERE tenant = ? AND model_id = ? AND version = ? AND changed = ?"
        self._db.execute(asked, (*waiting.key, waiting.changed))


def _example(artifacts: tuple[_Artifact, ...]) -> tuple[str, str]:
    """The name and the digest of a version's input example; two empty texts without one."""
    found = {a.path.rpartition("/")[2]: a.digest for a in artifacts if a.size_bytes <= MOST_EXAMPLE_BYTES}
    return next(((name, found[name]) for name in EXAMPLES if name in found), ("", ""))
