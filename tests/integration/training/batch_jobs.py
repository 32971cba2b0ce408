"""Batches as jobs: the model that they use, and how they are asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from batch_case import FEATURES, booster
from modelog_proto.registry.v1 import model_pb2
from modelog_proto.training.v1 import training_pb2 as pb
from training_world import User

ENTRY_POINT = "modelog_training.batch.main:main"


async def version_of(user: User) -> pb.ModelRef:
    """Register the model."""
    content = bytes(booster().save_raw("ubj"))
    await user.models.RegisterModel(model_pb2.RegisterModelRequest(name="late"))
    tensor = model_pb2.TensorSpec(name="features", datatype="FP32", shape=[-1, 2], columns=FEATURES)
    await user.models.RegisterVersion(
        model_pb2.RegisterVersionRequest(
            model="late",
            flavor="xgboost",
            artifact=model_pb2.Artifact(path="model.ubj", digest=await user.upload(content), size_bytes=len(content)),
            signature=model_pb2.Signature(
                inputs=[tensor], outputs=[model_pb2.TensorSpec(name="late", datatype="FP32", shape=[-1])]
            ),
        )
    )
    return pb.ModelRef(model="late", version="1.0.0")


async def submitted(user: User, ref: pb.ModelRef, source: object, output: Path, **more: Any) -> pb.Job:
    parameters = {"source": str(source), "output": str(output), **more.pop("parameters", {})}
    return await user.submit(entry_point=ENTRY_POINT, models=[ref], parameters=parameters, **more)


def digests(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}
