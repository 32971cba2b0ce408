"""The registry of sentences: how each event type of each service is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from modelog_common.events.store import StoredEvent

from modelog_lineage.story import (
    tell_learning,
    tell_levels,
    tell_models,
    tell_operations,
    tell_releases,
    tell_workspaces,
)
from modelog_lineage.story.telling import Entity, Sentence
from modelog_lineage.story.words import Payload, short, word

# In the order in which differences tell of them: what users feel first.
ENTITIES: Mapping[str, Entity] = {
    "registry.model": Entity("model", ("model", "name")),
    "serving.deployment": Entity("deployment", ("name",)),
    "serving.failure": Entity("failures", ("name",)),
    "serving.release": Entity("release", ("name",)),
    "serving.traffic": Entity("traffic", ("name",)),
    "serving.predictions": Entity("prediction log", ("log_id",)),
    "monitoring.monitor": Entity("monitor", ("monitor", "name")),
    "monitoring.retraining": Entity("retraining", ("window",)),
    "monitoring.policy": Entity("policy", ("name",)),
    "monitoring.level": Entity("service level", ("deployment",)),
    "monitoring.abtest": Entity("A/B test", ("name",)),
    "registry.dataset": Entity("dataset", ("dataset",)),
    "training.job": Entity("job", ("name",)),
    "registry.experiment": Entity("experiment", ("name",)),
    "registry.run": Entity("run", ("name",)),
    "registry.workspace": Entity("workspace", ("workspace",)),
    "registry.link": Entity("link", ("link_id",)),
    "gateway.user": Entity("user", ("name", "user")),
}

SENTENCES: Mapping[str, Sentence] = {
    **tell_models.SENTENCES,
    **tell_workspaces.SENTENCES,
    **tell_operations.SENTENCES,
    **tell_levels.SENTENCES,
    **tell_releases.SENTENCES,
    **tell_learning.SENTENCES,
}


def entity_of(category: str) -> Entity:
    """What a stream of this category is; one that is not known goes by its category."""
    return ENTITIES.get(category, Entity(category, ("name",)))


def sentence_of(stored: StoredEvent) -> str:
    """One event in words, whatever it holds."""
    payload = payload_of(stored)
    known = SENTENCES.get(stored.type)
    if known is not None:
        try:
            return known.one(payload)
        except (KeyError, TypeError, ValueError, AttributeError):
            pass  # of a newer release, or altered: what is certain is told
    return f"{word(stored.type)} happened to {stream_name(stored.stream)}"


def payload_of(stored: StoredEvent) -> Payload:
    """The payload's fields; none when it is no JSON object."""
    try:
        found: Any = msgspec.json.decode(stored.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def stream_name(stream: str) -> str:
    """ "model 7f3c1d2e" of "registry.model-7f3c1d2e-..."."""
    category, _, name = stream.partition("-")
    return f"{entity_of(category).kind} {short(name)}"
