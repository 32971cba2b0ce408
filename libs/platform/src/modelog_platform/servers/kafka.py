"""Apache Kafka, from Maven's jars: one process that is broker and controller (KRaft), without authentication."""

from __future__ import annotations

import struct
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import maven_install, run
from modelog_platform.servers.recipe import Recipe, Say, Site, answers

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
METADATA = struct.pack(">hhihi", 3, 1, 7, -1, 0)  # Metadata, version 1, correlation 7, no client name, no topics
JAVA = Path(__file__).parent / "java" / "kafka"
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


def install(home: Path, say: Say) -> None:
    maven_install(home, say, JAVA)


def prepare(site: Site) -> None:
    properties = site.folder / "server.properties"
    settings = PROPERTIES.format(port=site.port, controller=site.ports[1], data=site.data)
    properties.write_text(settings)
    if not (site.data / "meta.properties").exists():
        run(site.folder, [*java(site), "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)])


def command(site: Site) -> list[str]:
    return [*java(site), "kafka.Kafka", str(site.folder / "server.properties")]


def java(site: Site) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={site.home / 'log4j2.properties'}"
    return ["java", "-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", logging, "-cp", f"{site.home}/lib/*"]


def serves(site: Site) -> bool:
    """It names itself among the brokers of the cluster."""
    request = struct.pack(">i", len(METADATA)) + METADATA
    return answers(site.port, request, lambda said: len(said) >= 12 and struct.unpack(">i", said[8:12])[0] > 0)


def address(site: Site) -> str:
    return f"{LOOPBACK}:{site.port}"


KAFKA = Recipe(
    name="kafka",
    title="Apache Kafka",
    user="",
    install=install,
    prepare=prepare,
    command=command,
    serves=serves,
    address=address,
    ports=2,
)
