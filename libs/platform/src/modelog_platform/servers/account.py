"""Running a server as an account of its own, for those that refuse to run as root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path

from modelog_common.domain.errors import Unavailable


def give_to(account: str, file: Path) -> None:
    """As root, make a file or folder the account's. Raises Unavailable, naming the folder that keeps it out."""
    if os.geteuid() != 0:
        return
    entry = entry_of(account)
    for above in file.absolute().parents:
        mode, owner = above.stat().st_mode, above.stat().st_uid
        if not mode & 0o001 and owner != entry.pw_uid:
            raise Unavailable(
                f"the server runs as the account {account}, since it refuses to run as root, and that account may not "
                f"enter {above}: choose a data directory outside of it, or start as another user than root"
            )
    os.chown(file, entry.pw_uid, entry.pw_gid)


def run_as(account: str, command: Sequence[str], folder: Path, said: str = "") -> None:
    """Run a command as the account (as root), with `said` as its input; raises Unavailable with what it said."""
    switch: dict[str, object] = {}
    if os.geteuid() == 0:
        entry = entry_of(account)
        switch = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    done = subprocess.run(command, cwd=folder, input=said, capture_output=True, text=True, **switch)  # type: ignore[call-overload]
    if done.returncode:
        raise Unavailable(f"`{command[0]}` ended with status {done.returncode}:\n{done.stdout}{done.stderr}")


def become(account: str) -> None:
    """Give up root for the account."""
    entry = entry_of(account)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def entry_of(account: str) -> pwd.struct_passwd:
    """The account; raises Unavailable when there is none."""
    try:
        return pwd.getpwnam(account)
    except KeyError:
        raise Unavailable(f"there is no account {account}, which the server's package makes") from None
