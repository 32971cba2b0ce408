"""The delivery suite on Apache Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from delivery_suite import DeliverySuite
from modelog_common.bus.clients import new_admin
from modelog_common.bus.kafka import KafkaBroker
from modelog_common.bus.topics import Family
from real_servers import KafkaServer


class TestDeliveryOnKafka(DeliverySuite):
    @pytest.fixture
    def bus(self, kafka: KafkaServer) -> KafkaBroker:
        return KafkaBroker(kafka.bootstrap)

    @pytest.fixture
    def forget(self, bus: KafkaBroker, topics: Family) -> Callable[[], Awaitable[None]]:
        async def delete() -> None:
            mine = [name for name in await bus.topics() if name.startswith(f"{topics.prefix}.")]
            admin = new_admin(bus.address)
            for deleted in admin.delete_topics(mine, operation_timeout=150).values():
                await asyncio.wrap_future(deleted)

        return delete
