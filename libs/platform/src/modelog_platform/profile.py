"""Which part stands behind each port of the platform: read from a profile, told to the services as their settings."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelog_common.domain.errors import Invalid

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers import influxdb, minio, neo4j
from modelog_platform.servers.kafka import KAFKA
from modelog_platform.servers.mariadb import MARIADB
from modelog_platform.servers.postgres import POSTGRES
from modelog_platform.servers.rabbitmq import RABBITMQ
from modelog_platform.servers.recipe import Site
from modelog_platform.servers.redis import REDIS

EMBEDDED = "embedded"
PROFILES = Path(__file__).parent / "profiles"


def kafka_settings(site: Site) -> dict[str, str]:
    return {"MODELOG_KAFKA_BOOTSTRAP": KAFKA.address(site)}


def event_settings(site: Site) -> dict[str, str]:
    return {"MODELOG_EVENT_STORE": POSTGRES.address(site)}


def postgres_tables(site: Site) -> dict[str, str]:
    return {"MODELOG_TABLES": POSTGRES.address(site)}


def mariadb_tables(site: Site) -> dict[str, str]:
    return {"MODELOG_TABLES": MARIADB.address(site)}


def neo4j_settings(site: Site) -> dict[str, str]:
    return {
        "MODELOG_GRAPH_URI": neo4j.address(site),
        "MODELOG_GRAPH_USER": neo4j.USER,
        "MODELOG_GRAPH_PASSWORD": site.password,
    }


def influxdb_settings(site: Site) -> dict[str, str]:
    return {"MODELOG_SERIES": influxdb_bucket(site), "MODELOG_SERIES_TOKEN": site.password}


def influxdb_curves(site: Site) -> dict[str, str]:
    return {"MODELOG_CURVES": influxdb_bucket(site), "MODELOG_SERIES_TOKEN": site.password}


def influxdb_bucket(site: Site) -> str:
    return f"influxdb://{LOOPBACK}:{site.port}/{influxdb.ORGANISATION}/{influxdb.BUCKET}"


def elasticsearch_settings(site: Site) -> dict[str, str]:
    return {"MODELOG_SEARCH": f"elasticsearch://{LOOPBACK}:{site.port}/modelog"}


def redis_events(site: Site) -> dict[str, str]:
    return {"MODELOG_EVENT_BUS": REDIS.address(site)}


def rabbitmq_events(site: Site) -> dict[str, str]:
    return {"MODELOG_EVENT_BUS": RABBITMQ.address(site)}


def redis_cache(site: Site) -> dict[str, str]:
    return {"MODELOG_CACHE": REDIS.address(site)}


def minio_blobs(site: Site) -> dict[str, str]:
    return {
        "MODELOG_BLOBS": f"s3://{minio.BUCKET}",
        "AWS_ENDPOINT_URL": minio.address(site),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": minio.USER,
        "AWS_SECRET_ACCESS_KEY": site.password,
    }


# By port and server, what the services are told when that server stands behind that port.
SETTINGS: Mapping[str, Mapping[str, Callable[[Site], dict[str, str]]]] = {
    "broker": {"kafka": kafka_settings},
    "events": {"postgres": event_settings},
    "tables": {"postgres": postgres_tables, "mariadb": mariadb_tables},
    "graph": {"neo4j": neo4j_settings},
    "series": {"influxdb": influxdb_settings},
    "curves": {"influxdb": influxdb_curves},
    "search": {"elasticsearch": elasticsearch_settings},
    "blobs": {"minio": minio_blobs},
    "cache": {"redis": redis_cache},
    "event_bus": {"redis": redis_events, "rabbitmq": rabbitmq_events},
}


@dataclass(frozen=True)
class Profile:
    """By port, the name of the part behind it."""

    behind: Mapping[str, str]

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers that it needs, each once."""
        return tuple(dict.fromkeys(part for part in self.behind.values() if part != EMBEDDED))

    def settings(self, sites: Mapping[str, Site]) -> dict[str, str]:
        """What the services are told of the servers, which run at `sites`."""
        told: dict[str, str] = {}
        for port, part in self.behind.items():
            if part != EMBEDDED:
                told |= SETTINGS[port][part](sites[part])
        return told


def load_profile(name: str) -> Profile:
    """The profile of that name, or in the file of that path; raises Invalid with what is wrong and what is allowed."""
    file = PROFILES / f"{name}.toml" if "/" not in name and not name.endswith(".toml") else Path(name)
    if not file.is_file():
        known = ", ".join(sorted(one.stem for one in PROFILES.glob("*.toml")))
        raise Invalid.field("profile", f"there is no profile {name}; allowed: {known}, or the path of a file *.toml")
    try:
        found = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid.field("profile", f"{file} is not TOML: {error}") from error
    ports = found.pop("ports", {})
    if found or not isinstance(ports, dict):
        raise Invalid.field(
            "profile", f"{file} has {', '.join(found) or 'no table [ports]'}; allowed: one table [ports]"
        )
    for port, part in ports.items():
        if port not in SETTINGS:
            raise Invalid.field(f"ports.{port}", f"in {file} is not a port; allowed: {', '.join(SETTINGS)}")
        allowed = (EMBEDDED, *SETTINGS[port])
        if part not in allowed:
            raise Invalid.field(f"ports.{port}", f"in {file} is {part!r}; allowed: {', '.join(allowed)}")
    return Profile({port: ports.get(port, EMBEDDED) for port in SETTINGS})
