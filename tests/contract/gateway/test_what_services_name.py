"""Every field of serving, training and monitoring that may name what a workspace holds is known to their sight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from modelog_common.rpc.sight import Vocabulary, named
from modelog_gateway.rest.contracts import FILES
from modelog_monitoring.sight import VOCABULARY as MONITORING
from modelog_proto.monitoring.v1 import abtest_pb2, monitoring_pb2
from modelog_proto.training.v1 import training_pb2
from modelog_serving.sight import VOCABULARY as SERVING
from modelog_training.sight import VOCABULARY as TRAINING

VOCABULARIES = {vocabulary.package: vocabulary for vocabulary in (SERVING, TRAINING, MONITORING)}
# Words in the names of fields, and those of messages whose field `name` or `id` names one.
WORDS = ("model", "deployment", "experiment", "run", "monitor", "policy", "job", "test", "retraining")
# Fields with such words that name nothing of the kind, or only beside what does.
OTHERS = frozenset({
    "Variant.model_digest", "Prediction.model_digest", "Job.model_digest", "Batch.model_digest",
    "FeatureDrift.test", "Retraining.job_id",
    "LoggedPrediction.model_digest", "Fallback.model_digest", "VersionTrial.model_digest",
    "ReleaseOutcomeEvidence.test",
})  # fmt: skip
# Names that are to be given: that one is taken may be noticed.
GIVEN = ("Create", "JobSpec")


def messages(vocabulary: Vocabulary, *, requests: bool) -> Iterator[Descriptor]:
    """What the methods of a service take, or answer, and the messages that these hold."""
    seen: set[str] = set()
    waiting = [
        method.input_type if requests else method.output_type
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
        for method in service.methods
        if service.full_name.startswith(vocabulary.package)
    ]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name not in seen and descriptor.full_name.startswith(vocabulary.package):
            seen.add(descriptor.full_name)
            yield descriptor
            inner: list[Any] = [field.message_type for field in descriptor.fields]
            waiting += [each for each in inner if each is not None]


def unknown(vocabulary: Vocabulary, descriptor: Descriptor, *words: str) -> list[str]:
    texts = [f for f in descriptor.fields if f.type == FieldDescriptor.TYPE_STRING]
    paths = {f"{descriptor.name}.{f.name}": f for f in texts if any(word in f.name for word in words)}
    known = {path for path, f in paths.items() if vocabulary.kind_of(f) or path in vocabulary.fields}
    return sorted(paths.keys() - known - OTHERS)


@pytest.mark.parametrize("vocabulary", VOCABULARIES.values(), ids=VOCABULARIES)
def test_every_field_that_names_something_is_known(vocabulary: Vocabulary) -> None:
    found = [m for requests in (True, False) for m in messages(vocabulary, requests=requests)]
    assert len(found) > 5
    assert [path for message in found for path in unknown(vocabulary, message, *WORDS)] == []


@pytest.mark.parametrize("vocabulary", VOCABULARIES.values(), ids=VOCABULARIES)
def test_a_request_by_name_says_whose_name_it_is(vocabulary: Vocabulary) -> None:
    asked = [m for m in messages(vocabulary, requests=True) if not m.name.startswith(GIVEN)]
    paths = {f"{m.name}.name" for m in asked if "name" in m.fields_by_name}
    assert paths <= vocabulary.fields.keys()


def test_what_a_message_holds_is_named_too() -> None:
    spec = training_pb2.JobSpec(experiment="e", models=[training_pb2.ModelRef(model="m", version="1.0.0")])
    job = training_pb2.Job(id="j", spec=spec, run_id="r")
    assert set(named(job, TRAINING, set())) == {("experiment-name", "e"), ("model", "m"), ("run", "r")}
    policy = monitoring_pb2.RetrainingPolicy(name="p", monitor="w", job=spec)
    found = {("monitor", "w"), ("experiment-name", "e"), ("model", "m")}
    assert set(named(policy, MONITORING, set())) == found
    assert list(named(abtest_pb2.AbTest(name="t", latest=abtest_pb2.AbLook()), MONITORING, set())) == []
