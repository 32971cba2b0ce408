"""RabbitMQ, from Debian's package: one user `modelog`, who needs the password, and a name server of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import apt_install
from modelog_platform.servers.recipe import Recipe, Say, Site, answers

USER = "modelog"
PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SETTINGS = """\
default_user = {user}
default_pass = {password}
disk_free_limit.absolute = 50MB
log.console.level = warning
"""
# Erlang's name server belongs to this one server, and goes when it goes.
START = """\
epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" -relaxed_command_check & epmd=$!
"$1" & server=$!
trap 'kill -TERM $server' TERM INT
while ! wait $server; do kill -0 $server 2>/dev/null || break; done
kill $epmd
"""
GREETING = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME = b"\x01\x00\x00"


def install(home: Path, say: Say) -> None:
    apt_install(home, say, ["rabbitmq-server"], PROGRAM.exists)


def prepare(site: Site) -> None:
    (site.folder / "plugins").write_text("[].\n")
    settings = site.folder / "rabbitmq.conf"
    settings.touch(mode=0o600)
    settings.write_text(SETTINGS.format(user=USER, password=site.password))


def command(site: Site) -> list[str]:
    return ["/bin/bash", "-c", START, "rabbitmq", str(PROGRAM)]


def environment(site: Site) -> Mapping[str, str]:
    own = {
        "NODENAME": "modelog@localhost",
        "NODE_IP_ADDRESS": LOOPBACK,
        "NODE_PORT": str(site.port),
        "DIST_PORT": str(site.ports[1]),
        "MNESIA_BASE": str(site.data),
        "LOG_BASE": str(site.folder / "log"),
        "LOGS": "-",
        "SCHEMA_DIR": str(site.folder / "schema"),
        "PID_FILE": str(site.folder / "pid"),
        "ENABLED_PLUGINS_FILE": str(site.folder / "plugins"),
        "CONFIG_FILE": str(site.folder / "rabbitmq"),
        "CONF_ENV_FILE": "/dev/null",
        "SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
    }
    erlang = {"HOME": str(site.folder), "ERL_EPMD_ADDRESS": LOOPBACK, "ERL_EPMD_PORT": str(site.ports[2])}
    return erlang | {f"RABBITMQ_{name}": value for name, value in own.items()}


def serves(site: Site) -> bool:
    """It begins the conversation that AMQP 0.9.1 prescribes."""
    return answers(site.port, GREETING, lambda said: said.startswith(METHOD_FRAME))


def address(site: Site) -> str:
    return f"amqp://{USER}:{site.password}@{LOOPBACK}:{site.port}/"


RABBITMQ = Recipe(
    name="rabbitmq",
    title="RabbitMQ",
    user=USER,
    install=install,
    prepare=prepare,
    command=command,
    environment=environment,
    serves=serves,
    address=address,
    ports=3,
)
