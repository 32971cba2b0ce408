"""PostgreSQL, from Debian's package: one superuser `modelog`, who needs the password, and one database of that name."""

from __future__ import annotations

import shutil
import signal
import struct
from pathlib import Path

from modelog_common.domain.errors import Unavailable

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.account import give_to, run_as
from modelog_platform.servers.packages import apt_install, run
from modelog_platform.servers.recipe import Recipe, Say, Site, answers

USER = "modelog"
DATABASE = "modelog"
ACCOUNT = "postgres"
STARTUP = b"user\0modelog\0database\0modelog\0\0"
PROTOCOL_3 = 196608
SETTINGS = {"max_connections": "300", "shared_buffers": "64MB", "log_min_messages": "warning"}


def programs() -> Path | None:
    """The folder of the newest release that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda program: int(program.parts[4]))
    return found[-1].parent if found else None


def install(home: Path, say: Say) -> None:
    apt_install(home, say, ["postgresql"], lambda: programs() is not None)


def prepare(site: Site) -> None:
    """Make the cluster when there is none: under another name first, so that a half-made one is never started."""
    give_to(ACCOUNT, site.folder)
    if site.data.exists():
        return
    partial = site.folder / "data.part"
    shutil.rmtree(partial, ignore_errors=True)
    secret = site.folder / "password"
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(site.password)
    give_to(ACCOUNT, secret)
    made = [
        program("initdb"), "--pgdata", str(partial), "--username", USER, "--pwfile", str(secret),
        "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
    ]  # fmt: skip
    run_as(ACCOUNT, made, site.folder)
    secret.unlink()
    create = f"CREATE DATABASE {DATABASE}\n"
    run_as(ACCOUNT, [program("postgres"), "--single", "-D", str(partial), "postgres"], site.folder, create)
    partial.rename(site.data)


def command(site: Site) -> list[str]:
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    return [program("postgres"), "-D", str(site.data), "-h", LOOPBACK, "-p", str(site.port), "-k", "", *settings]


def serves(site: Site) -> bool:
    """It asks for the password once it takes clients, and answers with an error while it recovers."""
    hello = struct.pack(">ii", 8 + len(STARTUP), PROTOCOL_3) + STARTUP
    return answers(site.port, hello, lambda said: said.startswith(b"R"))


def address(site: Site, database: str = DATABASE) -> str:
    return f"postgresql://{USER}:{site.password}@{LOOPBACK}:{site.port}/{database}"


def create_database(site: Site, name: str) -> str:
    """A new, empty database; returns its address."""
    client = [program("psql"), "--no-psqlrc", "-h", LOOPBACK, "-p", str(site.port), "-U", USER, "-d", DATABASE]
    run(site.folder, [*client, "-c", f'CREATE DATABASE "{name}"'], {"PGPASSWORD": site.password})
    return address(site, name)


def program(name: str) -> str:
    folder = programs()
    if folder is None:
        raise Unavailable("PostgreSQL is not installed: run `python -m modelog_platform.servers install postgres`")
    return str(folder / name)


POSTGRES = Recipe(
    name="postgres",
    title="PostgreSQL",
    user=USER,
    install=install,
    prepare=prepare,
    command=command,
    serves=serves,
    address=address,
    # At SIGTERM it would wait until its clients leave.
    stop_signal=signal.SIGINT,
    account=ACCOUNT,
)
