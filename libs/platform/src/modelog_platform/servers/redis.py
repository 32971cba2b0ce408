"""Redis, from Debian's package: its log of writes is kept, so that a stream survives its death."""

from __future__ import annotations

import shutil
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import apt_install
from modelog_platform.servers.recipe import Recipe, Say, Site, answers

SETTINGS = """\
bind {host}
port {port}
dir {data}
requirepass {password}
save ""
appendonly yes
appendfsync everysec
daemonize no
loglevel warning
"""


def install(home: Path, say: Say) -> None:
    apt_install(home, say, ["redis-server"], lambda: shutil.which("redis-server") is not None)


def prepare(site: Site) -> None:
    site.data.mkdir(exist_ok=True)
    settings = site.folder / "redis.conf"
    settings.touch(mode=0o600)
    settings.write_text(SETTINGS.format(host=LOOPBACK, port=site.port, data=site.data, password=site.password))


def command(site: Site) -> list[str]:
    return ["redis-server", str(site.folder / "redis.conf")]


def serves(site: Site) -> bool:
    """It asks for the password; while it loads its data, it says so instead."""
    return answers(site.port, b"PING\r\n", lambda said: said.startswith(b"-NOAUTH"))


def address(site: Site) -> str:
    return f"redis://:{site.password}@{LOOPBACK}:{site.port}/0"


REDIS = Recipe(
    name="redis",
    title="Redis",
    user="",
    install=install,
    prepare=prepare,
    command=command,
    serves=serves,
    address=address,
)
