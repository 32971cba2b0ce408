"""Elasticsearch, from Maven's jars, with a main class of our own: one node, without authentication.

What its jars alone cannot do: `GET /`, reindex, update_by_query, delete_by_query, painless scripts.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import maven_install
from modelog_platform.servers.recipe import Recipe, Say, Site, http_ok

JAVA = Path(__file__).parent / "java" / "elasticsearch"
PLUGIN = "transport-netty4"
MODULES = "org.elasticsearch.server,org.elasticsearch.preallocate,jdk.net,jdk.unsupported,java.management"
OPENS = (
    "java.base/java.io=org.elasticsearch.preallocate",
    "org.apache.lucene.core/org.apache.lucene.store=org.elasticsearch.simdvec",
)
FLAGS = (
    "-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.security.manager=allow", "-Djna.nosys=true",
    "-Dio.netty.noUnsafe=true", "-Dlog4j2.disable.jmx=true",
)  # fmt: skip


def install(home: Path, say: Say) -> None:
    maven_install(home, say, JAVA, "ElasticsearchServer", modules)


def modules(home: Path) -> list[str]:
    """The server must run as named modules, its network plugin apart from them."""
    jars = [jar for jar in sorted((home / "lib").glob("*.jar")) if not is_plugin(jar)]
    return ["--module-path", ":".join(map(str, jars)), "--add-modules", MODULES]


def is_plugin(jar: Path) -> bool:
    return jar.name.startswith(("netty-", PLUGIN))


def prepare(site: Site) -> None:
    for folder in ("config", "plugins", f"modules/{PLUGIN}"):
        (site.folder / folder).mkdir(parents=True, exist_ok=True)
    for jar in filter(is_plugin, (site.home / "lib").glob("*.jar")):
        shutil.copy(jar, site.folder / "modules" / PLUGIN)
    shutil.copy(site.home / "plugin-descriptor.properties", site.folder / "modules" / PLUGIN)
    shutil.copy(site.home / "log4j2.properties", site.folder / "config")


def command(site: Site) -> list[str]:
    opens = [flag for package in OPENS for flag in ("--add-opens", package)]
    classes = ["-cp", str(site.home / "classes")]
    ports = [str(port) for port in site.ports]
    return ["java", *FLAGS, *modules(site.home), *opens, *classes, "ElasticsearchServer", str(site.folder), *ports]


def serves(site: Site) -> bool:
    return http_ok(site.port, "/_cluster/health?wait_for_status=yellow&timeout=0s")


def address(site: Site) -> str:
    return f"http://{LOOPBACK}:{site.port}"


ELASTICSEARCH = Recipe(
    name="elasticsearch",
    title="Elasticsearch",
    user="",
    install=install,
    prepare=prepare,
    command=command,
    serves=serves,
    address=address,
    ports=2,
)
