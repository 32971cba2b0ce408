"""Asks the registry service about model versions and for their files, over gRPC."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import grpc.aio
from modelog_common.stores.blobs.folder import FolderBlobStore
from modelog_proto.common.v1.common_pb2 import ReadOptions
from modelog_proto.registry.v1 import artifact_pb2 as artifact_pb
from modelog_proto.registry.v1 import model_pb2 as pb
from modelog_proto.registry.v1.artifact_pb2_grpc import ArtifactStoreStub
from modelog_proto.registry.v1.model_pb2_grpc import ModelRegistryStub

from modelog_serving.deployment.commands import Candidate
from modelog_serving.deployment.signature import Signature, TensorSpec

PIECE_BYTES = 1 << 20
STAGES = {
    pb.STAGE_DEVELOPMENT: "development",
    pb.STAGE_STAGING: "staging",
    pb.STAGE_PRODUCTION: "production",
    pb.STAGE_ARCHIVED: "archived",
}


class RegistryVersions:
    """Model versions as the registry describes them now.

    `head` tells how long the log of events is: whoever heard of an approval asks for what it allows, and must not be
    answered from before it.
    """

    def __init__(self, channel: Callable[[], grpc.aio.Channel], head: Callable[[], Awaitable[int]]) -> None:
        self._channel, self._head = channel, head

    async def get(self, model: str, version: str) -> Candidate:
        """One version; raises NotFound, or Unavailable when the registry does not answer."""
        return await self.at(model, version, ReadOptions(at_least=await self._head()))

    async def at(self, model: str, version: str, read: ReadOptions) -> Candidate:
        """One version as it was at a moment; raises as `get` does."""
        request = pb.GetVersionRequest(model=model, version=version, read=read)
        return candidate_of(await ModelRegistryStub(self._channel()).GetVersion(request))


class ArtifactFiles:
    """Model files from the registry's artifact store, kept in a folder of this process's own.

    A restart needs no registry. A file that was damaged in the folder is fetched again.
    """

    def __init__(self, kept: FolderBlobStore, channel: Callable[[], grpc.aio.Channel]) -> None:
        self._kept, self._channel = kept, channel

    async def fetch(self, digest: str) -> bytes:
        """The file with this SHA-256; raises NotFound, or Unavailable when it cannot be had now."""
        await self.keep(digest)
        return b"".join([chunk async for chunk in self._kept.open(digest)])

    async def keep(self, digest: str) -> None:
        """Have it in the folder; raises what `fetch` does."""
        if not await self._kept.exists(digest) or not await self._kept.verify(digest):
            await self._kept.put(self._download(digest), digest)

    async def store(self, content: bytes) -> str:
        """Keep a file, here and in the artifact store; returns its SHA-256. Raises Unavailable when it cannot be stored
        now.
        """
        digest = hashlib.sha256(content).hexdigest()
        pieces = [content[at : at + PIECE_BYTES] for at in range(0, len(content), PIECE_BYTES)]
        messages = [artifact_pb.UploadArtifactRequest(chunk=piece) for piece in pieces]
        messages.append(artifact_pb.UploadArtifactRequest(expected_digest=digest))
        await ArtifactStoreStub(self._channel()).UploadArtifact(iter(messages))
        await self._kept.put(_pieces(pieces), digest)
        return digest

    async def _download(self, digest: str) -> AsyncIterator[bytes]:
        stub = ArtifactStoreStub(self._channel())
        async for piece in stub.DownloadArtifact(artifact_pb.DownloadArtifactRequest(digest=digest)):
            yield piece.chunk


async def _pieces(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def candidate_of(message: pb.ModelVersion) -> Candidate:
    """What a decision needs to know of a version: it is approved when its last review approved it."""
    reviews = list(message.reviews)
    return Candidate(
        model=message.model,
        version=message.version,
        digest=message.artifact.digest,
        flavor=message.flavor,
        signature=Signature(
            tuple(_spec(spec) for spec in message.signature.inputs),
            tuple(_spec(spec) for spec in message.signature.outputs),
        ),
        stage=STAGES.get(message.stage, "development"),
        approved=bool(reviews) and reviews[-1].decision == pb.REVIEW_DECISION_APPROVED,
    )


def _spec(message: pb.TensorSpec) -> TensorSpec:
    return TensorSpec(
        message.name, message.datatype, tuple(message.shape), tuple(message.columns), tuple(message.kinds)
    )
