"""The audit trail of a running service: listing, streaming, checkpoints, proofs, verification."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import stat
from contextlib import closing
from typing import Any

import grpc
import pytest
from lineage_support import Log, Person, Place, until
from modelog_common.domain.errors import Invalid, NotAllowed, NotFound
from modelog_common.events.store import NewEvent
from modelog_proofs import InvalidProof, open_checkpoint, parse_public_key, verify_bundle, verify_consistency
from modelog_proto.lineage.v1 import lineage_pb2 as pb


async def listed(person: Person, **filters: Any) -> list[int]:
    answer = await person.audit.ListEvents(pb.ListEventsRequest(**filters))
    return [event.position for event in answer.events]


async def checkpoint(person: Person) -> pb.Checkpoint:
    answer: pb.Checkpoint = await person.audit.GetCheckpoint(pb.GetCheckpointRequest())
    return answer


async def test_events_are_listed_by_filter(bare: Place, log: Log, story: dict[str, int]) -> None:
    head = story["archived"]
    await log.append("registry.model/ModelRegistered", "secret", tenant="umbrella", name="secret", author="eve")
    async with bare.running():
        alice = bare.person()
        assert await listed(alice) == list(range(1, head + 1))
        assert await listed(alice, after=2, limit=3) == [3, 4, 5]
        assert await listed(alice, limit=2, newest_first=True) == [head, head - 1]
        assert await listed(alice, limit=2, newest_first=True, after=head - 1) == [head - 2, head - 3]
        assert await listed(alice, stream="registry.dataset") == [2, 3]
        assert await listed(alice, stream="registry.dataset", newest_first=True) == [3, 2]
        assert await listed(alice, type="registry.VersionReviewed") == [story["approved"]]
        assert await listed(alice, actor="nobody") == []
        assert await listed(bare.person("eve", "umbrella")) == [head + 1]
        answer = await alice.audit.ListEvents(pb.ListEventsRequest(after=story["approved"] - 1, limit=1))
        event = answer.events[0]
        assert answer.head == head + 1
        assert event.payload["evidence"]["auc"] == 0.73
        assert (event.type, event.actor, event.tenant) == ("registry.VersionReviewed", "alice", "acme")
        assert event.recorded_at.ToDatetime().year >= 2025
        one = event.stream
        of_model = await listed(alice, stream=one)
        assert of_model == await listed(alice, stream="registry.model")
        assert await listed(alice, stream=one, newest_first=True, after=of_model[2]) == of_model[1::-1]
        assert await listed(alice, stream=one, after=of_model[0]) == of_model[1:]
        with pytest.raises(Invalid, match="limit"):
            await listed(alice, limit=1001)


async def test_payloads_that_are_no_objects_are_listed_too(bare: Place, log: Log) -> None:
    payloads = [b"[1, 2]", b'"text"', b"not json", b"\xff\xfe", b"", b'{"n": 12345678901234567890}', b"[" * 3000]
    payloads.append(b'{"a":' * 60 + b"1" + b"}" * 60)
    payloads.append(b'{"big": "' + b"x" * (2 << 20) + b'"}')
    events = [NewEvent(f"e{n}", "x.Y", 1, p, "acme", "alice") for n, p in enumerate(payloads)]
    await log.store.append("x.y-1", events)
    async with bare.running():
        answer = await bare.person().audit.ListEvents(pb.ListEventsRequest())
    shown = [event.payload for event in answer.events]
    assert list(shown[0]["value"]) == [1.0, 2.0]
    assert shown[1]["value"] == "text"
    assert [p["not shown"] for p in shown[2:5]] == [f"{n} bytes that are not JSON" for n in (8, 2, 0)]
    assert shown[5]["n"] == "12345678901234567890"
    assert shown[6]["not shown"] == "3000 bytes that are not JSON"
    assert "a" in shown[7].fields
    assert shown[8]["not shown"] == "2097163 bytes, more than the 1048576 that are shown"


async def test_an_answer_that_would_be_too_long_is_cut_between_events(bare: Place, log: Log) -> None:
    payload = b'{"big": "' + b"x" * 1_000_000 + b'"}'
    await log.store.append("x.y-1", [NewEvent(f"e{n}", "x.Y", 1, payload, "acme", "alice") for n in range(12)])
    async with bare.running():
        alice = bare.person()
        first = await listed(alice)
        assert first == list(range(1, 9))
        assert await listed(alice, after=first[-1]) == [9, 10, 11, 12]


async def test_the_stream_catches_up_goes_on_live_and_ends_when_the_service_drains(
    bare: Place, log: Log, story: dict[str, int]
) -> None:
    head = story["archived"]
    seen: list[int] = []

    async def read(person: Person) -> None:
        async for event in person.audit.StreamEvents(pb.StreamEventsRequest(after=head - 2)):
            seen.append(event.position)  # noqa: PERF401 - the others look at it meanwhile

    async def has(last: int) -> bool:
        return bool(seen[-1:] == [last])

    # A stream that did not end by itself would be waited for all that time.
    bare.settings = bare.settings.changed(drain_s=600.0)
    async with bare.running() as host:
        reading = asyncio.create_task(read(bare.person()))
        await until(lambda: has(head), "what was there is streamed")
        await log.append("registry.model/ModelRegistered", "s", tenant="umbrella", name="s", author="eve")
        await log.append("registry.model/ModelRegistered", "t", name="t", author="alice")
        await until(lambda: has(head + 2), "what came is streamed")
        host.stop()
        async with asyncio.timeout(150):
            await reading
    assert seen == [head - 1, head, head + 2]


async def test_a_stream_that_is_left_ends(bare: Place, log: Log, story: dict[str, int]) -> None:
    async with bare.running():
        async for event in bare.person().audit.StreamEvents(pb.StreamEventsRequest()):
            assert event.position == 1
            break


async def test_a_checkpoint_covers_what_is_there_now_and_extends_the_one_before(
    bare: Place, log: Log, story: dict[str, int]
) -> None:
    async with bare.running():
        alice = bare.person()
        first = await checkpoint(alice)
        await log.append("registry.model/ModelRegistered", "t", name="t", author="alice")
        second = await checkpoint(alice)
        assert await checkpoint(alice) == second, "nothing new is nothing to sign"
        proof = await alice.audit.GetConsistencyProof(pb.GetConsistencyProofRequest(old_size=first.size))
        early = await alice.audit.GetConsistencyProof(pb.GetConsistencyProofRequest(old_size=3, new_size=7))
        with pytest.raises(Invalid, match=f"new_size: is 999; the log has {second.size} events"):
            await alice.audit.GetConsistencyProof(pb.GetConsistencyProofRequest(old_size=3, new_size=999))
        with pytest.raises(Invalid, match="old_size: is 9; it must not be larger than the new size 7"):
            await alice.audit.GetConsistencyProof(pb.GetConsistencyProofRequest(old_size=9, new_size=7))
    assert (first.size, second.size) == (story["archived"], story["archived"] + 1)
    key = parse_public_key(first.public_key)
    assert key.name.startswith("modelog/")
    opened = [open_checkpoint(c.note, key) for c in (first, second)]
    assert base64.b64encode(opened[1].root).decode() == second.root
    path = [base64.b64decode(part) for part in proof.path]
    assert proof.checkpoint == second
    verify_consistency(first.size, opened[0].root, second.size, opened[1].root, path)
    assert open_checkpoint(early.checkpoint.note, key).size == 7
    mode = stat.S_IMODE((bare.folder / "lineage" / "audit-key").stat().st_mode)
    assert mode == 0o600


async def test_checkpoints_are_signed_while_events_come_and_when_the_service_ends(bare: Place, log: Log) -> None:
    def history() -> list[int]:
        with closing(sqlite3.connect(bare.folder / "lineage" / "audit.db")) as db:
            return [size for (size,) in db.execute("SELECT size FROM checkpoints ORDER BY size")]

    async with bare.running():
        await checkpoint(bare.person())
        for _ in range(2):
            last = await log.append("registry.model/ModelRegistered", "t", name="t", author="alice")

            async def signed(wanted: int = last) -> bool:
                return history()[-1:] == [wanted]

            await until(signed, "a checkpoint is signed without anybody asking")
        last = await log.append("registry.model/ModelRegistered", "t", name="t", author="alice")
    assert history()[-3:] == [1, 2, 3]
    assert last == 3


async def test_an_inclusion_proof_stands_alone(bare: Place, log: Log, story: dict[str, int]) -> None:
    await log.append("registry.model/ModelRegistered", "s", tenant="umbrella", name="s", author="eve")
    async with bare.running():
        alice = bare.person()
        answer = await alice.audit.GetInclusionProof(pb.GetInclusionProofRequest(position=story["approved"]))
        public_key = (await checkpoint(alice)).public_key
        for position in (story["archived"] + 1, 999):
            with pytest.raises(NotFound, match=f"there is no event at position {position}"):
                await alice.audit.GetInclusionProof(pb.GetInclusionProofRequest(position=position))
        with pytest.raises(Invalid, match="position"):
            await alice.audit.GetInclusionProof(pb.GetInclusionProofRequest())
    proven = verify_bundle(answer.bundle, public_key)
    assert proven.event.type == "registry.VersionReviewed"
    bundle = json.loads(answer.bundle)
    bundle["event"]["payload"] = bundle["event"]["payload"].replace("approved", "rejected")
    with pytest.raises(InvalidProof):
        verify_bundle(bundle, public_key)


async def test_a_payload_that_is_no_text_has_no_bundle_and_says_why(bare: Place, log: Log) -> None:
    await log.store.append("x.y-1", [NewEvent("e1", "x.Y", 1, b"\xff", "acme", "alice")])
    async with bare.running():
        with pytest.raises(NotAllowed, match="the event at position 1 cannot be proven alone: payload is not UTF-8"):
            await bare.person().audit.GetInclusionProof(pb.GetInclusionProofRequest(position=1))


async def test_a_store_that_nobody_touched_is_verified(bare: Place, log: Log, story: dict[str, int]) -> None:
    async with bare.running():
        alice = bare.person()
        report = await alice.audit.VerifyAudit(pb.VerifyAuditRequest())
        root = (await checkpoint(alice)).root
    assert report == pb.AuditReport(intact=True, events=story["archived"], root=root)


async def test_the_audit_projection_is_rebuilt_from_the_store(bare: Place, log: Log, story: dict[str, int]) -> None:
    from modelog_proto.common.v1 import common_pb2

    async with bare.running():
        alice = bare.person()
        before = await checkpoint(alice)
        await alice.admin.Rebuild(common_pb2.RebuildRequest(projections=["audit"]))
        assert await checkpoint(alice) == before
        assert (await alice.projection("audit")).error == ""


async def test_who_lacks_the_permission_sees_nothing(bare: Place, log: Log) -> None:
    async with bare.running(), grpc.aio.insecure_channel(bare.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await Person(channel).audit.ListEvents(pb.ListEventsRequest())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
