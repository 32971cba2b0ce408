"""Texts of a subject that a request names: sealed wherever serving keeps or sends them, read while the key is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from aiohttp import ClientSession
from modelog_common.adapters import open_event_store, open_subjects
from modelog_common.config import Settings
from modelog_common.domain.errors import AlreadyExists, Invalid, NotAllowed, Unavailable
from modelog_common.privacy.keys import SUBJECT, Erasure
from modelog_common.privacy.masters import new_master_key
from modelog_common.rpc.errors import PeerFailed
from modelog_common.security.keys import write_secret
from modelog_lineage.audit.prediction import record_of
from modelog_proofs import InGroup, leaf_among, verify_inclusion
from modelog_proto.inference import grpc_predict_v2_pb2 as oip
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_proto.serving.v1.data_pb2 import PredictionBatch
from plain_text import traces, traces_in
from serving_rig import TENANT, Caller, Process, Rig, registry_of, serving_of
from test_request_stream import published
from test_texts_served import SIGNED, request, version_of
from worker_rig import Many, workers_of

MARY, JOHN, NOBODY = "Zoë Unmistakable", "Jörg Unmistakable", "Zoë Public"


def model() -> bytes:
    """What it answers has its text in it, and so has what it raises."""

    def answer(table: Any) -> dict[str, Any]:
        if any("fails" in text for text in table["note"]):
            raise KeyError(f"no idea of {list(table['note'])}")
        return {"label": [text + "!" for text in table["note"]], "score": [float(len(text)) for text in table["note"]]}

    return cloudpickle.dumps(answer)


def about(subject: str, *texts: str, prediction_id: str = "") -> oip.ModelInferRequest:
    message = request(list(texts), prediction_id)
    if subject:
        message.parameters["subject"].string_param = subject
    return message


async def asked(caller: Caller, subject: str, *texts: str, prediction_id: str = "") -> list[str]:
    """The labels that are answered."""
    answer = await caller.inference.ModelInfer(about(subject, *texts, prediction_id=prediction_id))
    return [each.decode() for each in answer.outputs[0].contents.bytes_contents]


async def seen(caller: Caller, prediction_id: str) -> tuple[str, str, float, bool]:
    """The text of an answer, what was said to it, its score, and whether they are sealed."""
    found = await caller.deployments.GetPrediction(
        pb.GetPredictionRequest(deployment="notes", prediction_id=prediction_id)
    )
    return found.texts["note"], found.output_texts[0], found.outputs[1], found.sealed


async def erase(settings: Settings, subject: str, clock: Any) -> None:
    """What the gateway does first when it is asked to erase a subject."""
    subjects = open_subjects(settings)
    try:
        await subjects.destroy(Erasure(TENANT, SUBJECT + subject, "admin", clock.now(), "ticket 4711"))
    finally:
        await subjects.close()


def with_key(folder: Path, kafka: str = "") -> Rig:
    write_secret(folder / "keys" / "master.key", new_master_key().encode())
    return Rig(folder, kafka=kafka)


@pytest.fixture(params=["own", "grpcio"])
async def rig(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with registry_of(with_key(tmp_path)) as made, serving_of(made, grpc_edge=request.param):
        yield made


@pytest.fixture
async def served(rig: Rig, alice: Caller) -> str:
    version = await version_of(rig, model())
    await alice.deploy(version, "notes")
    return version


@pytest.mark.usefixtures("served")
async def test_no_byte_of_a_subjects_texts_is_in_a_file_and_after_the_erasure_nobody_reads_them(
    rig: Rig, alice: Caller
) -> None:
    # What is answered again is kept in a cache: not what is somebody's.
    await alice.deployments.SetCaching(pb.SetCachingRequest(name="notes", ttl_s=600, reason="test"))
    assert await asked(alice, "mary", MARY, "sick", prediction_id="m") == [f"{MARY}!", "sick!"]
    assert await asked(alice, "john", JOHN, prediction_id="j") == [f"{JOHN}!"]
    assert await asked(alice, "", NOBODY, prediction_id="n") == [f"{NOBODY}!"]
    assert await seen(alice, "m.0") == (MARY, f"{MARY}!", 16.0, True)
    assert await seen(alice, "n") == (NOBODY, f"{NOBODY}!", 10.0, False)
    assert any("predictions.db" in place for place in traces(rig.folder, NOBODY))
    assert [*traces(rig.folder, MARY), *traces(rig.folder, JOHN)] == []
    await erase(rig.settings(), "mary", rig.clock)
    assert await seen(alice, "m.0") == ("[erased]", "[erased]", 16.0, True)
    assert await seen(alice, "j") == (JOHN, f"{JOHN}!", 17.0, True)
    with pytest.raises(NotAllowed, match="subject/mary was erased; nothing personal is kept of it any more"):
        await asked(alice, "mary", "again")


@pytest.mark.usefixtures("served")
async def test_by_every_way_of_rest_too(rig: Rig, alice: Caller) -> None:
    inputs: list[dict[str, Any]] = [
        {"name": "note", "datatype": "BYTES", "shape": [1, 1], "data": [MARY]},
        {"name": "hour", "datatype": "FP64", "shape": [1, 1], "data": [7.0]},
    ]
    instances = [{"note": MARY, "hour": 7.0}]
    params = {"subject": "mary"}
    ways: list[tuple[str, dict[str, Any]]] = [
        ("/v2/models/notes/infer", {"inputs": inputs, "parameters": params}),
        ("/v1/models/notes/predict", {"instances": instances, **params}),
        ("/invocations", {"instances": instances, "params": params}),
    ]
    async with ClientSession(rig.http, headers={"authorization": f"Bearer {alice.token}"}) as session:
        for path, body in ways:
            async with session.post(path, json=body) as response:
                assert (response.status, f"{MARY}!" in await response.text()) == (200, True), path
        assert list(traces(rig.folder, MARY)) == []
        for path, body in ways:
            body = json.loads(json.dumps(body).replace('"mary"', '"ma/ry"'))
            async with session.post(path, json=body) as response:
                text = await response.text()
            assert (response.status, "parameters.subject: 'ma/ry' is not allowed; allowed are up to 100" in text) == (
                400,
                True,
            ), text


@pytest.mark.usefixtures("served")
async def test_the_same_id_is_answered_from_the_log_to_the_same_subject_alone(rig: Rig, alice: Caller) -> None:
    first = await asked(alice, "mary", MARY, "sick", prediction_id="m")
    assert await asked(alice, "mary", MARY, "sick", prediction_id="m") == first
    wrong = "was already answered for other features"
    sealed = await alice.deployments.GetPredictionInclusion(pb.GetPredictionInclusionRequest(prediction_id="m.0"))
    other = await alice.deployments.GetPredictionInclusion(pb.GetPredictionInclusionRequest(prediction_id="m.1"))
    stored = [found.prediction.feature_texts[0] for found in (sealed, other)]
    assert all(json.loads(text).keys() == {"key", "nonce", "ciphertext"} for text in stored)
    for subject, texts in (("john", [MARY, "sick"]), ("", [MARY, "sick"]), ("", stored), ("mary", stored)):
        with pytest.raises(AlreadyExists, match=wrong):
            await asked(alice, subject, *texts, prediction_id="m")


@pytest.mark.usefixtures("served")
async def test_replayed_while_the_key_is_there_and_left_out_afterwards(rig: Rig, alice: Caller) -> None:
    async def replayed() -> pb.ReplayPredictionsResponse:
        asked_for = pb.ReplayPredictionsRequest(deployment="notes", slice="hour")
        page: pb.ReplayPredictionsResponse = await alice.deployments.ReplayPredictions(asked_for)
        assert page.logged_texts == page.replayed_texts
        return page

    await asked(alice, "mary", MARY, prediction_id="m")
    await asked(alice, "john", JOHN, prediction_id="j")
    await asked(alice, "", "[erased]", prediction_id="n")
    before = await replayed()
    assert (sorted(before.prediction_ids), before.erased) == (["j", "m", "n"], 0)
    await erase(rig.settings(), "mary", rig.clock)
    after = await replayed()
    assert (sorted(after.prediction_ids), after.erased) == (["j", "n"], 1)
    assert len(after.slice_values) == len(after.versions) == len(after.logged) / 2 == 2
    await erase(rig.settings(), "john", rig.clock)
    assert [list((await replayed()).prediction_ids), (await replayed()).erased] == [["n"], 2]


@pytest.mark.usefixtures("served")
async def test_a_proof_is_of_what_is_sealed_and_holds_after_the_erasure(rig: Rig, alice: Caller) -> None:
    await asked(alice, "mary", MARY, prediction_id="m")
    before = await alice.deployments.GetPredictionInclusion(pb.GetPredictionInclusionRequest(prediction_id="m"))
    await erase(rig.settings(), "mary", rig.clock)
    found = await alice.deployments.GetPredictionInclusion(pb.GetPredictionInclusionRequest(prediction_id="m"))
    assert found == before
    assert traces_in(found.SerializeToString(), MARY) == []
    store = await open_event_store(rig.settings(), rig.clock)
    try:
        (event,) = [e async for e in store.read_all(after=found.position - 1, until=found.position)]
    finally:
        await store.close()
    told = json.loads(event.payload)
    leaf = leaf_among(record_of(found.prediction), InGroup(found.row, found.row_hashes))
    assert found.leaves == told["leaves"]
    verify_inclusion(leaf, found.leaf_index, told["leaves"], found.path, bytes.fromhex(told["root"]))


@pytest.mark.usefixtures("served")
async def test_what_a_model_raises_is_not_told_where_it_may_repeat_a_subjects_text(rig: Rig, alice: Caller) -> None:
    breaker = pb.Breaker(failure_share=0.5, window_s=3600, min_requests=2, open_s=3600, probes=1)
    await alice.deployments.SetResilience(
        pb.SetResilienceRequest(name="notes", resilience=pb.Resilience(breaker=breaker), reason="test")
    )
    for _ in range(2):
        with pytest.raises(PeerFailed, match="what it said is not told, since the request names a subject"):
            await asked(alice, "mary", f"{MARY} fails")
    with pytest.raises(Unavailable, match=r"its circuit breaker is open \(the model failed; what it said is not told"):
        await asked(alice, "mary", MARY)
    assert list(traces(rig.folder, MARY)) == []


async def test_who_has_no_texts_takes_no_subject(alice: Caller) -> None:
    await alice.deploy()
    message = oip.ModelInferRequest(
        model_name="flights",
        inputs=[{"name": "features", "datatype": "FP32", "shape": [1, 4], "contents": {"fp32_contents": [1] * 4}}],
    )
    await alice.inference.ModelInfer(message)
    message.parameters["subject"].string_param = "mary"
    with pytest.raises(Invalid, match=r"parameters.subject: .*this model takes and gives numbers alone"):
        await alice.inference.ModelInfer(message)


@pytest.mark.usefixtures("served")
async def test_without_a_master_key_what_names_a_subject_is_refused_and_all_else_answered(
    rig: Rig, alice: Caller
) -> None:
    (rig.folder / "keys" / "master.key").unlink()
    with pytest.raises(Unavailable, match="personal data can neither be kept nor read now"):
        await asked(alice, "mary", MARY)
    assert await asked(alice, "", "fine") == ["fine!"]


async def test_the_topic_has_what_is_sealed(tmp_path: Path, fresh_broker: Any) -> None:
    async with registry_of(with_key(tmp_path, fresh_broker.bootstrap)) as rig, serving_of(rig):
        alice = rig.caller("alice")
        await alice.deploy(await version_of(rig, model()), "notes")
        await asyncio.gather(asked(alice, "mary", MARY), asked(alice, "john", JOHN, "x"), asked(alice, "", NOBODY))
        messages = await published(rig.kafka, 4)
        everything = b"".join(bytes(message.value()) for message in messages)
        assert traces_in(everything, NOBODY) == ["utf-8"]
        assert [*traces_in(everything, MARY), *traces_in(everything, JOHN)] == []
        batches = [PredictionBatch.FromString(message.value()) for message in messages]
        # Two subjects may share a batch; who named none has another.
        assert {(b.texts_sealed, NOBODY in b.feature_texts) for b in batches} == {(True, False), (False, True)}


async def test_workers_seal_and_the_process_that_decides_opens(tmp_path: Path) -> None:
    async with registry_of(with_key(tmp_path)) as rig:
        rig.environment |= {"MODELOG_SERVING_WORKERS": "2", "MODELOG_LOG_LEVEL": "debug"}
        process = Process(rig)
        await process.start()
        many = None
        try:
            alice = rig.caller("alice", attempts=5)
            await alice.deploy(await version_of(rig, model()), "notes")
            assert len(workers_of(process)) == 2
            many = Many(rig, alice, 1)
            await many.ask(0, about("mary", MARY, prediction_id="m"))
            assert await seen(alice, "m") == (MARY, f"{MARY}!", 16.0, True)
            assert list(traces(rig.folder, MARY)) == []
            await erase(rig.settings(), "mary", rig.clock)
            assert (await seen(alice, "m"))[:2] == ("[erased]", "[erased]")
        finally:
            if many is not None:
                await many.close()
            process.kill()


def test_the_signature_of_these_tests_has_texts_on_both_sides() -> None:
    assert [spec.datatype for spec in (*SIGNED.inputs, *SIGNED.outputs)] == ["BYTES", "FP64", "BYTES", "FP64"]
