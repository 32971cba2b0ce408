"""The delivery suite on the embedded Kafka broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from delivery_suite import DeliverySuite
from modelog_common.bus.kafka import KafkaBroker


class TestDeliveryOnTheEmbeddedBroker(DeliverySuite):
    @pytest.fixture
    def bus(self, fresh_broker: Any) -> KafkaBroker:
        return KafkaBroker(fresh_broker.bootstrap)

    @pytest.fixture
    def forget(self, fresh_broker: Any) -> Callable[[], Awaitable[None]]:
        async def restart() -> None:
            fresh_broker.restart()

        return restart
