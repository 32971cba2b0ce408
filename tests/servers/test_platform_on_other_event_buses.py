"""The story of tests/e2e/test_platform_through_cli.py while events travel on Redis, and on RabbitMQ, instead of Kafka.

Commands reach the read tables, the lineage graph, the catalogue and the windows of every service, and a rebuild changes
no answer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

from running_platform import PARTS, RunningPlatform
from test_platform_through_cli import (
    Story,
    story,
    test_a_rebuild_changes_no_answer,
    test_everything_is_found_by_its_words,
    test_the_job_trained_and_registered,
    test_the_log_is_intact,
    test_the_log_tells_who_did_what,
    test_the_prediction_is_answered_and_logged,
    test_the_way_back_of_a_prediction,
    test_the_window_counts_each_prediction_once,
)

__all__ = [
    "story",
    "test_a_rebuild_changes_no_answer",
    "test_everything_is_found_by_its_words",
    "test_the_job_trained_and_registered",
    "test_the_log_is_intact",
    "test_the_log_tells_who_did_what",
    "test_the_prediction_is_answered_and_logged",
    "test_the_way_back_of_a_prediction",
    "test_the_window_counts_each_prediction_once",
]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("platform")]


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def platform(request: pytest.FixtureRequest, server_folder: Path) -> Iterator[RunningPlatform]:
    """A platform of embedded parts and one server, on which events travel."""
    folder = server_folder / f"events-on-{request.param}"
    folder.mkdir()
    profile = folder / "profile.toml"
    profile.write_text(f'[ports]\nevent_bus = "{request.param}"\n')
    own = RunningPlatform(folder, str(profile), (*PARTS, request.param))
    own.up()
    yield own
    own.down()


def test_only_batches_travel_on_kafka(story: Story) -> None:
    """Else all that is seen here could have come another way."""
    topics = AdminClient({"bootstrap.servers": story.platform.endpoints["kafka"]}).list_topics(timeout=60).topics
    assert any(".inference.requests" in topic for topic in topics)
    assert not [topic for topic in topics if ".events." in topic]
