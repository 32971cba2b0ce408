"""What events make of the catalogue's documents, whatever was written before."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelog_common.stores.search.checks import LONGEST_NAME, MOST_TAGS, check_documents
from modelog_lineage.catalogue.documents import KINDS, Translated, described, documents_of
from modelog_lineage.graph.translate import changes_of

sys.path.insert(0, str(Path(__file__).parent))

from write_translation_golden import stored


def translated(*events: tuple[int, str, dict[str, Any]]) -> Translated:
    found = [stored(type, payload, position) for position, type, payload in events]
    return [(event, changes_of(event)) for event in found]


REGISTERED = (
    5,
    "registry.VersionRegistered",
    {
        "model": "delay", "version": "1.0.0", "author": "alice", "description": "trees", "flavor": "xgboost",
        "metrics": {"auc": 0.73}, "tags": {"team": "flights", "stage": "mine"},
    },
)  # fmt: skip
PROMOTED = (
    9,
    "registry.VersionPromoted",
    {"model": "delay", "version": "1.0.0", "to_stage": "production", "reason": "good", "by": "bob"},
)


def test_a_thing_has_a_document_for_each_span() -> None:
    before, after = documents_of(translated(REGISTERED, PROMOTED), [])
    assert (before.id, before.kind, before.title) == ("ModelVersion:delay/1.0.0", "ModelVersion", "delay 1.0.0")
    assert (before.position, before.until, after.position, after.until) == (5, 9, 9, None)
    assert before.text == after.text == "trees"
    assert before.tags == {
        "model": "delay", "version": "1.0.0", "stage": "development", "author": "alice", "flavor": "xgboost",
        "metric.auc": "0.73", "team": "flights", "tag.stage": "mine",
    }  # fmt: skip
    assert after.tags == {**before.tags, "stage": "production", "reason": "good"}


def test_batches_come_to_the_same_as_one() -> None:
    both = documents_of(translated(REGISTERED, PROMOTED), [])
    first = documents_of(translated(REGISTERED), [])
    second = documents_of(translated(PROMOTED), first)
    assert second == both


def test_writing_again_what_was_written_changes_nothing() -> None:
    """As after a crash between the documents and their mark: what was true before the batch is asked for."""
    first = documents_of(translated(REGISTERED), [])
    ended_already = [replace(document, until=9) for document in first]
    assert documents_of(translated(PROMOTED), ended_already) == documents_of(translated(PROMOTED), first)


def test_only_things_with_names_are_in_the_catalogue() -> None:
    job = (1, "training.JobSubmitted", {"job_id": "j", "name": "fit"})
    user = (2, "gateway.UserCreated", {"name": "alice", "roles": ["admin"]})
    run = (3, "registry.RunStarted", {"run_id": "r", "name": "fit", "parameters": {"max_depth": 6}})
    assert described(translated(job, user, run)) == {"acme": ["Run:r"]}
    (document,) = documents_of(translated(job, user, run), [])
    assert (document.title, document.tags["parameter.max_depth"]) == ("fit", "6")
    assert {"Model", "ModelVersion", "DatasetVersion", "Run", "Experiment", "Deployment", "Monitor"} == set(KINDS)


def test_whatever_an_event_says_can_be_stored() -> None:
    wild = (
        1,
        "registry.RunStarted",
        {
            "run_id": "r", "name": "n" * 2000, "parameters": {f"p{n}" + "x" * 900: "v" * 900 for n in range(500)},
            "tags": {"zero\0byte": "a\0b"},
        },
    )  # fmt: skip
    documents = documents_of(translated(wild), [])
    check_documents(documents)
    assert len(documents[0].tags) == MOST_TAGS
    assert len(documents[0].title) == LONGEST_NAME


def test_what_gets_another_name_goes_on_under_it_with_all_that_was_said() -> None:
    """And what comes under the old name later begins anew."""
    renamed = (12, "registry.ModelRenamed", {"old_name": "delay", "name": "late", "versions": ["1.0.0"]})
    again = (15, "registry.VersionRegistered", {"model": "delay", "version": "1.0.0", "author": "carol"})
    found = documents_of(translated(REGISTERED, PROMOTED, renamed, again), [])
    first, second, after, other = (document for document in found if document.kind == "ModelVersion")
    assert (first.position, first.until, second.position, second.until) == (5, 9, 9, 12)
    assert (after.id, after.title, after.text, after.position) == ("ModelVersion:late/1.0.0", "late 1.0.0", "trees", 12)
    assert after.tags == {**second.tags, "model": "late"}
    assert (other.id, other.tags["author"], other.text, "team" in other.tags) == (first.id, "carol", "", False)
    known = replace(second, until=None)
    at_once = [d for d in documents_of(translated(renamed), [known]) if d.kind == "ModelVersion"]
    assert at_once == [second, after]
