"""What a deployment does when a version fails, from and to the messages that tell it."""

from __future__ import annotations

from typing import Any

import msgspec
from modelog_proto.serving.v1 import deployment_pb2 as pb

from modelog_serving.deployment.resilience import Breaker, DefaultOutput, Fallback, Resilience, Retries


def resilience_message(setting: Resilience) -> pb.Resilience:
    """As it is answered, but for what only the running process knows."""
    breaker, retries, fallback = setting.breaker, setting.retries, setting.fallback
    return pb.Resilience(
        breaker=None if breaker is None else pb.Breaker(**msgspec.structs.asdict(breaker)),
        retries=None if retries is None else pb.Retries(**msgspec.structs.asdict(retries)),
        timeout_ms=setting.timeout_ms,
        fallback=None if fallback is None else _fallback(fallback),
    )


def _fallback(fallback: Fallback) -> pb.Fallback:
    return pb.Fallback(
        version=fallback.version,
        model_digest=fallback.model_digest,
        outputs=[pb.DefaultOutput(output=output.name, values=output.values) for output in fallback.outputs],
        default_digest=fallback.default_digest,
    )


def resilience_of(message: pb.Resilience) -> Resilience:
    """As it is asked for; what is left out, or 0, is as usual."""
    return Resilience(
        breaker=Breaker(**_given(message.breaker)) if message.HasField("breaker") else None,
        retries=Retries(**_given(message.retries)) if message.HasField("retries") else None,
        timeout_ms=message.timeout_ms,
        fallback=Fallback(
            version=message.fallback.version,
            outputs=tuple(DefaultOutput(given.output, tuple(given.values)) for given in message.fallback.outputs),
        )
        if message.HasField("fallback")
        else None,
    )


def _given(message: pb.Breaker | pb.Retries) -> dict[str, Any]:
    """The fields that are given."""
    return {field.name: value for field, value in message.ListFields()}
