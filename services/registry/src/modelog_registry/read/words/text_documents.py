"""What models and runs are found by when words are looked for: their documents in the search index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelog_common.events.store import StoredEvent
from modelog_common.stores.search import Document
from modelog_common.stores.search.checks import LONGEST_NAME, LONGEST_TEXT

from modelog_registry.model.state import Model
from modelog_registry.read.runs.values import text_of
from modelog_registry.run.state import Run

MODEL, RUN = "model", "run"
# What is written, and how: an index of another format is filled again.
FORMAT = 2


def run_document(run: Run, stored: StoredEvent) -> Document:
    """Its name, and the names and values of its tags and parameters."""
    if run.started is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the run was started")
    told = [*_pairs(run.tags.items()), *_pairs((key, text_of(value)) for key, value in run.parameters.items())]
    return _document(RUN, run.started.run_id, run.name, told, stored)


def model_document(model: Model, stored: StoredEvent) -> Document:
    """Its name, description, tags and aliases, and the description and tags of its versions."""
    if model.registered is None:
        raise ValueError(f"{stored.stream} has {stored.type} before the model was registered")
    told = [model.description, *_pairs(model.tags.items()), *model.aliases]
    for version in model.live:
        told += [version.content.version, version.description, *_pairs(version.tags.items())]
    return _document(MODEL, model.registered.model_id, model.registered.name, told, stored)


def _document(kind: str, key: str, title: str, told: Iterable[str], stored: StoredEvent) -> Document:
    text = "\n".join(told).replace("\0", " ")[:LONGEST_TEXT]
    return Document(
        stored.tenant, f"{kind}:{key}", kind, title.replace("\0", " ")[:LONGEST_NAME], stored.position, text
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"{key} {value}" for key, value in pairs)
