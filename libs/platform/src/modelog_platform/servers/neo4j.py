"""Neo4j community, from Maven's jars, with a main class of our own: one user `neo4j`, who needs the password."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import maven_install
from modelog_platform.servers.recipe import Recipe, Say, Site, answers

USER = "neo4j"
DATABASE = "neo4j"
JAVA = Path(__file__).parent / "java" / "neo4j"
HANDSHAKE = b"\x60\x60\xb0\x17" + b"\x00\x04\x04\x05" + bytes(12)  # Bolt 5.4 to 5.0
OPEN = ("java.nio", "java.io", "java.lang", "sun.nio.ch", "java.util.concurrent")


def install(home: Path, say: Say) -> None:
    maven_install(home, say, JAVA, "Neo4jServer")


def command(site: Site) -> list[str]:
    opens = [flag for package in OPEN for flag in ("--add-opens", f"java.base/{package}=ALL-UNNAMED")]
    classes = f"{site.home}/classes:{site.home}/lib/*"
    flags = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", *opens, "-cp", classes]
    return ["java", *flags, "Neo4jServer", str(site.data), str(site.port)]


def environment(site: Site) -> Mapping[str, str]:
    return {"NEO4J_PASSWORD": site.password}


def serves(site: Site) -> bool:
    """It agrees on a version of Bolt: the connector is started last."""
    return answers(site.port, HANDSHAKE, lambda said: len(said) == 4 and said != bytes(4))


def address(site: Site) -> str:
    return f"bolt://{LOOPBACK}:{site.port}"


NEO4J = Recipe(
    name="neo4j",
    title="Neo4j",
    user=USER,
    install=install,
    command=command,
    environment=environment,
    serves=serves,
    address=address,
)
