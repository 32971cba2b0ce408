"""The read tables of serving, and how a deployment becomes a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from modelog_common.events.store import StoredEvent
from modelog_common.read.tables import Change, Put, temporal_table
from modelog_common.read.text import ByteText
from modelog_proto.registry.v1 import model_pb2 as registry_pb
from modelog_proto.serving.v1 import deployment_pb2 as pb
from sqlalchemy import BigInteger, Column, Integer, MetaData

from modelog_serving.deployment.caching import Caching
from modelog_serving.deployment.scaling import Scaling
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.deployment.state import RUNNING, Deployment, Replicas
from modelog_serving.read.resilience import resilience_message

METADATA = MetaData()
DEPLOYMENTS = temporal_table(
    METADATA,
    "deployments",
    key=["name"],
    columns=[
        Column("model", ByteText(200), nullable=False),
        Column("environment", ByteText(20), nullable=False),
        Column("status", ByteText(20), nullable=False),
    ],
)
RELEASES = temporal_table(
    METADATA,
    "releases",
    key=["release_id"],
    columns=[Column("deployment", ByteText(200), nullable=False), Column("number", Integer, nullable=False)],
    orders=[["deployment", "number"]],
)
# What was known of a release when, and what followed from it: a row for each of its events.
LOOKS = temporal_table(
    METADATA,
    "release_looks",
    key=["look_id"],
    columns=[
        Column("deployment", ByteText(200), nullable=False),
        Column("release", Integer, nullable=False),
        Column("place", BigInteger, nullable=False),
    ],
    orders=[["deployment", "release", "place"]],
)
# The minutes of a deployment's traffic, a row for each event.
TRAFFIC = temporal_table(
    METADATA,
    "traffic_windows",
    key=["window_id"],
    columns=[Column("deployment", ByteText(200), nullable=False), Column("ends_us", BigInteger, nullable=False)],
    orders=[["deployment", "ends_us"]],
)
# What deployments have learned, and a row for each step of their models and each time that one stopped.
LEARNING = temporal_table(METADATA, "learning", key=["deployment"], columns=[])
STEPS = temporal_table(
    METADATA,
    "learning_steps",
    key=["step_id"],
    columns=[
        Column("deployment", ByteText(200), nullable=False),
        Column("version", ByteText(40), nullable=False),
        Column("place", BigInteger, nullable=False),
    ],
    orders=[["deployment", "place"]],
)
# What became of each file that was tried.
TRIALS = temporal_table(METADATA, "trials", key=["trial_id"], columns=[Column("digest", ByteText(64), nullable=False)])
ENVIRONMENTS = {
    "dev": pb.DEPLOYMENT_ENVIRONMENT_DEV,
    "staging": pb.DEPLOYMENT_ENVIRONMENT_STAGING,
    "production": pb.DEPLOYMENT_ENVIRONMENT_PRODUCTION,
}


def rows(deployment: Deployment, stored: StoredEvent) -> Sequence[Change]:
    """The row of a deployment after an event."""
    message = to_message(deployment, stored.position)
    values = {
        "model": deployment.model,
        "environment": deployment.environment,
        "status": deployment.status,
    }
    return [Put(DEPLOYMENTS, {"name": deployment.name}, message.SerializeToString(), values)]


def to_message(deployment: Deployment, position: int) -> pb.Deployment:
    """A deployment as it is answered, but for what only the running process knows."""
    running = deployment.status == RUNNING
    replicas = deployment.replicas if running else None
    waits = replicas is not None and replicas.wanted > 0 and not replicas.ready
    return pb.Deployment(
        id=deployment.id,
        name=deployment.name,
        model=deployment.model,
        environment=ENVIRONMENTS[deployment.environment],
        status=_status(running=running, waits=waits),
        error="; ".join(replicas.problems) if replicas else "",
        variants=[
            pb.Variant(version=v.version, percent=v.percent, model_digest=v.digest, flavor=v.flavor)
            for v in deployment.variants
        ],
        signature=_signature(deployment.signature),
        author=deployment.author,
        created_at=timestamp(deployment.created_at),
        updated_at=timestamp(deployment.updated_at),
        position=position,
        scaling=_scaling(deployment.scaling) if deployment.scaling else None,
        replicas=_replicas(replicas) if replicas else None,
        caching=_caching(deployment.caching) if deployment.caching else None,
        resilience=resilience_message(deployment.resilience) if deployment.resilience else None,
    )


def _status(*, running: bool, waits: bool) -> pb.DeploymentStatus.ValueType:
    if not running:
        return pb.DEPLOYMENT_STATUS_STOPPED
    return pb.DEPLOYMENT_STATUS_PENDING if waits else pb.DEPLOYMENT_STATUS_RUNNING


def _scaling(scaling: Scaling) -> pb.Scaling:
    return pb.Scaling(**msgspec.structs.asdict(scaling))


def _caching(caching: Caching) -> pb.Caching:
    return pb.Caching(ttl_s=caching.ttl_s, max_bytes=caching.max_bytes)


def _replicas(seen: Replicas) -> pb.Replicas:
    return pb.Replicas(backend=seen.backend, wanted=seen.wanted, ready=seen.ready, problems=seen.problems)


def _signature(signature: Signature) -> registry_pb.Signature:
    return registry_pb.Signature(
        inputs=[_spec(spec) for spec in signature.inputs], outputs=[_spec(spec) for spec in signature.outputs]
    )


def _spec(spec: TensorSpec) -> registry_pb.TensorSpec:
    return registry_pb.TensorSpec(
        name=spec.name, datatype=spec.datatype, shape=spec.shape, columns=spec.columns, kinds=spec.kinds
    )


def timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
