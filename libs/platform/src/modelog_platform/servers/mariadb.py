"""MariaDB, from Debian's package: one user `modelog`, who needs the password, and one database of that name."""

from __future__ import annotations

import getpass
import os
import shutil
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import apt_install, need, run
from modelog_platform.servers.recipe import Recipe, Say, Site, answers

USER = "modelog"
DATABASE = "modelog"
PROTOCOL_10 = 10
FIRST_STATEMENTS = """\
CREATE DATABASE IF NOT EXISTS {database};
CREATE OR REPLACE USER '{user}'@'127.0.0.1' IDENTIFIED BY '{password}';
GRANT ALL ON *.* TO '{user}'@'127.0.0.1' WITH GRANT OPTION;
DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1', ''@'localhost', ''@'127.0.0.1';
ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';
"""


def install(home: Path, say: Say) -> None:
    apt_install(home, say, ["mariadb-server"], lambda: shutil.which("mariadbd", path=with_sbin()) is not None)


def prepare(site: Site) -> None:
    """Make the system tables when there are none: under another name first, so that half of them are never started."""
    statements = site.folder / "first.sql"
    statements.touch(mode=0o600)
    statements.write_text(FIRST_STATEMENTS.format(database=DATABASE, user=USER, password=site.password))
    if site.data.exists():
        return
    partial = site.folder / "data.part"
    shutil.rmtree(partial, ignore_errors=True)
    made = [
        "mariadb-install-db", "--no-defaults", f"--user={getpass.getuser()}", f"--datadir={partial}",
        "--auth-root-authentication-method=normal", "--skip-test-db",
    ]  # fmt: skip
    run(site.folder, made)
    partial.rename(site.data)


def command(site: Site) -> list[str]:
    program = shutil.which("mariadbd", path=with_sbin()) or need("mariadbd", "MariaDB", "install mariadb-server")
    return [
        program, "--no-defaults", f"--user={getpass.getuser()}", f"--datadir={site.data}",
        f"--bind-address={LOOPBACK}", f"--port={site.port}", "--socket=m.sock", "--pid-file=m.pid",
        f"--init-file={site.folder / 'first.sql'}", "--skip-name-resolve", "--innodb-buffer-pool-size=64M",
        "--max-connections=300", "--log-warnings=1", "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci",
    ]  # fmt: skip


def serves(site: Site) -> bool:
    """Its greeting begins with the protocol's number; an error has 255 there."""
    return answers(site.port, b"", lambda said: len(said) > 4 and said[4] == PROTOCOL_10)


def address(site: Site, database: str = DATABASE) -> str:
    return f"mysql://{USER}:{site.password}@{LOOPBACK}:{site.port}/{database}"


def create_database(site: Site, name: str) -> str:
    """A new, empty database; returns its address."""
    client = ["mariadb", "--no-defaults", f"--host={LOOPBACK}", f"--port={site.port}", f"--user={USER}"]
    run(site.folder, [*client, "-e", f"CREATE DATABASE `{name}`"], {"MYSQL_PWD": site.password})
    return address(site, name)


def with_sbin() -> str:
    """Debian keeps the server's program where the path of an ordinary user does not lead."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin"


MARIADB = Recipe(
    name="mariadb",
    title="MariaDB",
    user=USER,
    install=install,
    prepare=prepare,
    command=command,
    serves=serves,
    address=address,
)
