"""The data directory of an embedded platform: its format, its lock, its secrets, and who runs where."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from modelog_common.domain.clock import SystemClock
from modelog_common.domain.errors import Unavailable
from modelog_common.security.keys import create_key_pair, write_secret
from modelog_common.security.tokens import Identity, TokenSigner

FORMAT = 1
SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")
TENANT = "default"
LIFETIME = timedelta(days=365)


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
        """Make what is missing. Raises Unavailable, and changes nothing, when a newer release wrote the directory."""
        try:
            self._refuse_newer()
            for folder in (self.logs, self.secrets, self.data, self.state_file.parent):
                folder.mkdir(parents=True, exist_ok=True)
            self.secrets.chmod(0o700)
            self.format_file.write_text(f"{FORMAT}\n")
            self._make_secrets()
        except OSError as error:
            raise Unavailable(f"the data directory {self.root} cannot be used: {error.strerror or error}") from error

    def _refuse_newer(self) -> None:
        if not self.format_file.exists():
            return
        found = self.format_file.read_text().strip()
        if not found.isdigit() or int(found) > FORMAT:
            raise Unavailable(
                f"{self.root} was written by a newer release of Modelog (format {found[:20]}); this one reads up to "
                f"format {FORMAT}. Nothing was changed. Use that release, or another --data-dir."
            )

    def _make_secrets(self) -> None:
        if not (self.secrets / "signing.pem").exists():
            create_key_pair(self.secrets / "signing.pem", self.secrets / "public.pem")
        signer = TokenSigner.from_file(self.secrets / "signing.pem", SystemClock())
        people = {f"{name}.token": Identity(f"service:{name}", TENANT, frozenset({"service"})) for name in SERVICES}
        people["admin.token"] = Identity("admin", TENANT, frozenset({"admin"}))
        secrets = {file: signer.sign(identity, LIFETIME) for file, identity in people.items()}
        for file, secret in {**secrets, "graph.password": os.urandom(16).hex()}.items():
            if not (self.secrets / file).exists():
                write_secret(self.secrets / file, secret.encode())

    def admin_token(self) -> str:
        """The token of the user `admin`, who is there from the beginning."""
        return (self.secrets / "admin.token").read_text().strip()

    def lock(self) -> int:
        """Take the directory for this process; raises Unavailable, naming the holder, when another has it."""
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 20).decode() or "another process"
            os.close(descriptor)
            raise Unavailable(
                f"{self.root} is in use by a running platform (process {holder}); stop it with `modelog down`, "
                "or choose another --data-dir"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor

    def write_state(self, state: dict[str, Any]) -> None:
        """Replace the state file in one step, so that a reader never sees half of it."""
        partial = self.state_file.with_suffix(".part")
        partial.write_text(json.dumps(state, indent=2))
        partial.replace(self.state_file)

    def read_state(self) -> dict[str, Any]:
        """What the supervisor wrote last; empty when it never ran."""
        try:
            found: dict[str, Any] = json.loads(self.state_file.read_text())
        except FileNotFoundError:
            return {}
        return found
