"""The list of topics."""

from __future__ import annotations

import pytest
from modelog_common.bus.topics import ALL, PREDICTIONS, Topic, events_topic, topic_named, topic_of


def test_a_stream_travels_on_its_services_topic() -> None:
    assert topic_of("registry.model-1-2").name == "modelog.events.registry"
    assert topic_of("monitoring.alert-x").name == "modelog.events.monitoring"


def test_a_stream_of_no_service_is_refused() -> None:
    with pytest.raises(ValueError, match="'shop' is not a service; allowed are registry, training"):
        topic_of("shop.cart-1")


def test_every_topic_is_written_down_once_with_one_partition() -> None:
    names = [t.name for t in ALL]
    assert len(set(names)) == len(names) == 9
    assert {t.partitions for t in ALL} == {1}
    assert events_topic("gateway") in ALL


def test_topics_are_found_by_name_with_their_dead_letters() -> None:
    assert topic_named("modelog.predictions") is PREDICTIONS
    assert topic_named("modelog.predictions.dead") == PREDICTIONS.dead
    assert topic_named("mine") == Topic("mine", 1, -1)
