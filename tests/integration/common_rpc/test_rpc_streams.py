"""Streams in both directions: each message is checked, errors are domain errors, leaving ends the handler."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from modelog_common.domain.errors import Forbidden, Invalid, NotAllowed
from modelog_common.rpc.edges import server_on
from modelog_common.rpc.errors import PeerFailed
from modelog_common.rpc.methods import Method
from modelog_common.rpc.pipeline import Pipeline
from modelog_proto.lineage.v1 import lineage_pb2
from modelog_proto.lineage.v1.lineage_pb2_grpc import AuditServiceStub
from modelog_proto.registry.v1 import artifact_pb2 as pb
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub

PATIENCE_S = 150.0
EVENTS = lineage_pb2.StreamEventsRequest(after=4)


def audit(served, *roles: str):
    return AuditServiceStub(served.channel(served.token(*roles)))


async def chunks(*contents: bytes):
    for content in contents:
        yield pb.UploadArtifactRequest(chunk=content)


async def collect(answers, take) -> None:
    async for answer in answers:
        take(answer)


async def test_a_stream_of_answers_then_an_error(served, lines) -> None:
    served.audit.error = NotAllowed("the log ends here")
    seen: list[int] = []
    with pytest.raises(NotAllowed, match="the log ends here"):
        await collect(audit(served).StreamEvents(EVENTS), lambda event: seen.append(event.position))
    assert seen == [5, 6, 7]
    (line,) = await lines.wait_for("call")
    assert line["code"] == "FAILED_PRECONDITION"


async def test_an_unexpected_error_in_a_stream(served) -> None:
    served.audit.error = RuntimeError("secret")
    with pytest.raises(PeerFailed, match="internal error"):
        async for _ in audit(served).StreamEvents(EVENTS):
            pass


async def test_a_stream_has_no_deadline_of_its_own(served) -> None:
    async for _ in audit(served).StreamEvents(EVENTS):
        break
    assert served.audit.calls[0].deadline_s is None


async def test_leaving_a_stream_ends_its_handler(served) -> None:
    call = audit(served).StreamEvents(EVENTS)
    assert (await call.read()).position == 5
    call.cancel()
    await asyncio.wait_for(served.audit.left.wait(), PATIENCE_S)


async def test_cancelling_the_reader_ends_the_handler(served) -> None:
    started = asyncio.Event()

    async def read() -> None:
        async for _ in audit(served).StreamEvents(EVENTS):
            started.set()

    reader = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), PATIENCE_S)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await asyncio.wait_for(served.audit.left.wait(), PATIENCE_S)


async def test_a_stream_is_refused_like_any_call(served) -> None:
    with pytest.raises(Invalid, match="after: -1 is out of range; allowed: 0 or more"):
        await audit(served).StreamEvents(lineage_pb2.StreamEventsRequest(after=-1)).read()
    with pytest.raises(Forbidden):
        await audit(served, "nobody").StreamEvents(EVENTS).read()
    assert served.audit.calls == []


async def test_a_handler_that_writes_instead_of_yielding(served) -> None:
    request = pb.DownloadArtifactRequest(digest="a" * 64)
    answers = [a.chunk async for a in ArtifactStoreStub(served.channel()).DownloadArtifact(request)]
    assert answers == [b"one", b"two"]


async def test_a_stream_of_requests(served) -> None:
    answer = await ArtifactStoreStub(served.channel()).UploadArtifact(chunks(b"ab", b"cde"))
    assert answer.size_bytes == 5
    assert served.artifacts.received == [b"ab", b"cde"]


async def test_each_message_of_a_stream_is_checked(served, lines) -> None:
    with pytest.raises(Invalid, match="chunk: has 1048577 bytes; allowed: 0 to 1048576 bytes"):
        await ArtifactStoreStub(served.channel()).UploadArtifact(chunks(b"ab", b"x" * (1 << 20 | 1), b"never"))
    assert served.artifacts.received == [b"ab"]
    (line,) = await lines.wait_for("call")
    assert line["code"] == "INVALID_ARGUMENT"


async def test_a_producer_that_fails_reaches_the_caller(served) -> None:
    async def broken():
        yield pb.UploadArtifactRequest(chunk=b"ab")
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        await ArtifactStoreStub(served.channel()).UploadArtifact(broken())


async def test_requests_may_come_from_a_plain_list(served) -> None:
    requests = [pb.UploadArtifactRequest(chunk=b"ab"), pb.UploadArtifactRequest(chunk=b"c")]
    assert (await ArtifactStoreStub(served.channel()).UploadArtifact(iter(requests))).size_bytes == 3


async def test_requests_that_are_written_one_by_one_are_refused_rather_than_awaited_forever(served) -> None:
    call = ArtifactStoreStub(served.channel()).UploadArtifact()
    with pytest.raises(TypeError, match="pass the requests as an iterator"):
        await call.write(pb.UploadArtifactRequest(chunk=b"ab"))


async def test_cancelling_an_upload_is_no_error_of_its_requests(served) -> None:
    async def slow():
        yield pb.UploadArtifactRequest(chunk=b"ab")
        await asyncio.Event().wait()

    async def upload() -> None:
        await ArtifactStoreStub(served.channel()).UploadArtifact(slow())

    task = asyncio.create_task(upload())
    await asyncio.wait_for(served.artifacts.arrived.wait(), PATIENCE_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# None of our contracts streams both ways; this one is made of two messages of the artifact store.
ECHO = "/modelog.tests.Echo/Echo"


@pytest.fixture
async def echo(served):
    """A method that streams both ways: (its server's pipeline lets viewers in) a caller of it."""

    async def each(requests, context):
        async for request in requests:
            if request.chunk == b"stop":
                raise NotAllowed("stopped")
            yield pb.UploadArtifactResponse(digest=request.chunk.decode())

    handler = grpc.stream_stream_rpc_method_handler(
        each, pb.UploadArtifactRequest.FromString, pb.UploadArtifactResponse.SerializeToString
    )
    pipeline = Pipeline(served.verifier, {ECHO: Method(ECHO, "artifact.read")}, 60)
    server = server_on(served.edge, pipeline)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("modelog.tests.Echo", {"Echo": handler})])
    served.address = f"127.0.0.1:{await server.listen('127.0.0.1', 0)}"
    served.closing.push_async_callback(server.stop, 0)
    serialize, parse = pb.UploadArtifactRequest.SerializeToString, pb.UploadArtifactResponse.FromString
    return lambda *roles: served.channel(served.token(*roles)).stream_stream(ECHO, serialize, parse)


async def test_both_ways(echo) -> None:
    assert [a.digest async for a in echo("viewer")(chunks(b"a", b"b"))] == ["a", "b"]


async def test_both_ways_errors_and_rules(echo) -> None:
    seen: list[str] = []
    with pytest.raises(NotAllowed, match="stopped"):
        await collect(echo("viewer")(chunks(b"a", b"stop")), lambda answer: seen.append(answer.digest))
    assert seen == ["a"]
    with pytest.raises(Invalid, match="chunk: has 1048577 bytes"):
        async for _ in echo("viewer")(chunks(b"x" * (1 << 20 | 1))):
            pass
    with pytest.raises(Forbidden):
        async for _ in echo("nobody")(chunks(b"a")):
            pass


async def test_both_ways_a_producer_that_fails_reaches_the_caller(echo) -> None:
    async def broken():
        yield pb.UploadArtifactRequest(chunk=b"a")
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        async for _ in echo("viewer")(broken()):
            pass
