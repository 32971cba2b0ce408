"""A namespace for each test, and a reconciler that works in it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from modelog_common.events.sqlite import SqliteEventStore

sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster, World
from modelog_serving.kubernetes.settings import KubernetesSettings
from real_servers import KubernetesServer


@pytest.fixture
def cluster(kubernetes: KubernetesServer) -> Cluster:
    return Cluster(kubernetes)


@pytest.fixture
async def world(cluster: Cluster, tmp_path: Path) -> AsyncIterator[World]:
    settings = KubernetesSettings(
        api=cluster.server.url,
        namespace=cluster.namespace,
        token_file=cluster.server.token_file,
        ca_file=cluster.server.authority,
        image="modelog/serving:test",
    )
    store = await SqliteEventStore.open(tmp_path / "events.db")
    yield World(cluster, store, tmp_path, settings)
    await store.close()
