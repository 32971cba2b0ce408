"""The data directory of an embedded platform: its format, its lock, its secrets, and who runs where."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import Unavailable
from modelog_common.lockfile import LockHeld, lock_holder, take_lock
from modelog_common.privacy.masters import new_master_key
from modelog_common.security.keys import create_key_pair, write_secret
from modelog_common.security.tokens import Identity, TokenSigner

FORMAT = 1
SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
TENANT = "default"
LIFETIME = timedelta(days=365)
LEAST_FREE_BYTES = 128 * 1024 * 1024
LOCK_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class PlatformFolder:
    """Paths inside a data directory."""

    root: Path

    @property
    def format_file(self) -> Path:
        return self.root / "format"

    @property
    def state_file(self) -> Path:
        return self.root / "run" / "state.json"

    @property
    def settings_file(self) -> Path:
        return self.root / "run" / "settings.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "run" / "lock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def prepare(self) -> None:
        """Make what is missing.

        Raises Unavailable, and changes nothing, when a newer release wrote the directory or its disk is full.
        """
        try:
            self._refuse_newer()
            self._refuse_full()
            for folder in (self.logs, self.secrets, self.data, self.state_file.parent):
                folder.mkdir(parents=True, exist_ok=True)
            self.secrets.chmod(0o700)
            if not self.format_file.exists():
                write_whole(self.format_file, f"{FORMAT}\n".encode())
            self._make_secrets()
        except OSError as error:
            raise Unavailable(f"the data directory {self.root} cannot be used: {error.strerror or error}") from error

    def _refuse_newer(self) -> None:
        if not self.format_file.exists():
            return
        found = self.format_file.read_text().strip()
        if not found.isdecimal() or int(found) > FORMAT:
            raise Unavailable(
                f"{self.root} was written by a newer release of Modelog (format {found[:20]}); this one reads up to "
                f"format {FORMAT}. Nothing was changed. Use that release, or another --data-dir."
            )

    def _refuse_full(self) -> None:
        free = self.free_bytes()
        if free < LEAST_FREE_BYTES:
            raise Unavailable(
                f"the disk of {self.root} has {free // 2**20} MB left; the platform needs {LEAST_FREE_BYTES // 2**20} "
                "MB. Nothing was changed. Make room, or choose another --data-dir."
            )

    def keep_log_in(self, part: str) -> None:
        """Remember which part keeps the log; raises Unavailable, and changes nothing, when another one does."""
        self._keep_in(part, "log", "is", self.data / "events.db")

    def keep_blobs_in(self, part: str) -> None:
        """Remember which part keeps the blobs; raises Unavailable, and changes nothing, when another one does."""
        self._keep_in(part, "blobs", "are", self.data / "blobs")

    def _keep_in(self, part: str, what: str, stands: str, embedded: Path) -> None:
        file = self.root / f"{what}-{stands}-in"
        before = "embedded" if embedded.exists() else part
        if file.exists():
            before = file.read_text().strip()
        if before != part:
            raise Unavailable(
                f"the {what} of {self.root} {stands} in {before}, and the profile says {part}. Nothing was changed. "
                "Start it with the profile that it was made with, or choose another --data-dir."
            )
        write_whole(file, f"{part}\n".encode())

    def free_bytes(self) -> int:
        """How much room is left where the directory is, or will be."""
        there = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        return shutil.disk_usage(there).free

    def _make_secrets(self) -> None:
        private = self.secrets / "signing.pem"
        if not private.exists():
            # Last the private key gets its name: when it is there, its public half is there, whole.
            partial = private.with_suffix(".part")
            partial.unlink(missing_ok=True)
            create_key_pair(partial, self.secrets / "public.pem")
            partial.replace(private)
        signer = TokenSigner.from_file(private, SystemClock())
        people = {f"{name}.token": Identity(f"service:{name}", TENANT, frozenset({"service"})) for name in SERVICES}
        people["admin.token"] = Identity("admin", TENANT, frozenset({"admin"}))
        secrets = {file: signer.sign(identity, LIFETIME) for file, identity in people.items()}
        others = {"graph.password": os.urandom(16).hex(), "master.key": new_master_key()}
        for file, secret in {**secrets, **others}.items():
            if not (self.secrets / file).exists():
                write_whole(self.secrets / file, secret.encode())

    def password_file(self, part: str) -> Path:
        """Where the password of a part of the platform is kept."""
        return self.secrets / f"{part}.password"

    def password(self, part: str) -> str:
        """The password of a part, made when it has none."""
        file = self.password_file(part)
        if not file.exists():
            write_whole(file, os.urandom(16).hex().encode())
        return file.read_text().strip()

    def admin_token(self) -> str:
        """The token of the user `admin`, who is there from the beginning."""
        return (self.secrets / "admin.token").read_text().strip()

    def lock(self) -> int:
        """Take the directory for this process; raises Unavailable, naming the holder, when another has it."""
        try:
            return take_lock(self.lock_file, LOCK_TIMEOUT_S)
        except LockHeld as held:
            raise Unavailable(
                f"{self.root} is in use by a running platform (process {held.holder}); stop it with `modelog down`, "
                "or choose another --data-dir"
            ) from None

    def holder(self) -> int | None:
        """The process that runs a platform here now; None when none does, whatever a stale state file says."""
        return lock_holder(self.lock_file)

    def write_state(self, state: dict[str, Any]) -> None:
        """Replace the state file in one step, so that a reader never sees half of it."""
        write_whole(self.state_file, json.dumps(state, indent=2).encode())

    def write_settings(self, settings: Mapping[str, str]) -> None:
        """Remember what the services were told, for tools that need no running platform; it holds passwords."""
        write_whole(self.settings_file, json.dumps(dict(settings), indent=2).encode())

    def read_settings(self) -> dict[str, str]:
        """What the services were told last; empty when there never were any."""
        try:
            found: dict[str, str] = json.loads(self.settings_file.read_text())
        except FileNotFoundError:
            return {}
        return found

    def read_state(self) -> dict[str, Any]:
        """What the supervisor wrote last; empty when it never ran."""
        try:
            found: dict[str, Any] = json.loads(self.state_file.read_text())
        except FileNotFoundError:
            return {}
        return found


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that only its owner reads, all or nothing: a full disk leaves what was there."""
    partial = file.with_name(file.name + ".part")
    partial.unlink(missing_ok=True)
    write_secret(partial, content)
    partial.replace(file)
