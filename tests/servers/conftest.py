"""The real servers, one of each kind for a session: a test asks for one by the name of its fixture.

    from real_servers import PostgresServer

    async def test_it(postgres: PostgresServer) -> None:
        url = postgres.create_database()     # a fresh database of this test's own
        postgres.kill()                      # faults: stop(), kill(), restart(); the address stays the same
        postgres.start()

Servers are shared: use databases, topics, buckets and names of your own, and leave a server running. The suites of
tests/contract can be imported by the names of their modules.

`make test-servers` runs `-n 2 --dist loadgroup`: each test goes to the worker of the first server of GROUPS that it
asks for, so the costly servers start once. Tests that ask for none are grouped by module. A server that cannot be had
fails the tests that ask for it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelog_platform.servers.catalogue import install
from modelog_platform.servers.running import RunningServer

sys.path.insert(0, str(Path(__file__).parent))
sys.path.extend(str(folder) for folder in (Path(__file__).parents[1] / "contract").iterdir())

from real_servers import (
    InfluxdbServer,
    KafkaServer,
    KubernetesServer,
    MariadbServer,
    MinioServer,
    Neo4jServer,
    PostgresServer,
    UrlServer,
)

GROUPS = (
    "kubernetes", "elasticsearch", "neo4j", "kafka", "rabbitmq", "influxdb", "mariadb", "postgres", "minio",
    "redis_server",
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("xdist_group") is None:
            asked = getattr(item, "fixturenames", ())
            group = next((server for server in GROUPS if server in asked), item.path.stem)
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fails where a pytest and an xdist that do not know each other would start every server in every worker."""
    grouped = getattr(session.config.option, "loadgroup", False)
    if grouped and not all("@" in item.nodeid for item in session.items if item.get_closest_marker("xdist_group")):
        raise pytest.UsageError("xdist does not tell the groups of tests with this pytest: see pyproject.toml")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Not pytest's own folder for the session: PostgreSQL, as an account of its own, could not enter it."""
    with tempfile.TemporaryDirectory(prefix="modelog-servers-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def running(server: RunningServer) -> Iterator[RunningServer]:
    install([server.recipe.name], lambda name, step: print(f"{name}: {step}"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(PostgresServer("postgres", server_folder / "postgres"))


@pytest.fixture(scope="session")
def mariadb(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(MariadbServer("mariadb", server_folder / "mariadb"))


@pytest.fixture(scope="session")
def kafka(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(KafkaServer("kafka", server_folder / "kafka"))


@pytest.fixture(scope="session")
def neo4j(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(Neo4jServer("neo4j", server_folder / "neo4j"))


@pytest.fixture(scope="session")
def elasticsearch(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(UrlServer("elasticsearch", server_folder / "elasticsearch"))


@pytest.fixture(scope="session")
def influxdb(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(InfluxdbServer("influxdb", server_folder / "influxdb"))


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(UrlServer("redis", server_folder / "redis"))


@pytest.fixture(scope="session")
def rabbitmq(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(UrlServer("rabbitmq", server_folder / "rabbitmq"))


@pytest.fixture(scope="session")
def kubernetes(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(KubernetesServer("kubernetes", server_folder / "kubernetes"))


@pytest.fixture(scope="session")
def minio(server_folder: Path) -> Iterator[RunningServer]:
    yield from running(MinioServer("minio", server_folder / "minio"))
