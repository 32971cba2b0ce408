"""Where deployments are no pods, nobody gives them GPUs: those who asked are told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from modelog_proto.serving.v1 import deployment_pb2 as pb
from modelog_serving.api.live import Live
from modelog_serving.deployment.scaling import Scaling

IN_VAIN = "GPUs are asked for in Kubernetes only; here models compute where MODELOG_SERVING_TORCH_DEVICE says"


def seen(where: str, scaling: Scaling | None, replicas: pb.Replicas | None) -> pb.Deployment:
    route: Any = SimpleNamespace(deployment=SimpleNamespace(id="f", scaling=scaling))
    routes: Any = SimpleNamespace(find=lambda *_: route, rests=lambda _: False)
    warmup: Any = SimpleNamespace(error=lambda _: "", missing=lambda _: False)
    nothing: Any = SimpleNamespace()
    live = Live(routes, warmup, nothing, nothing, nothing, nothing, None, where)
    return live.seen("acme", pb.Deployment(name="flights", replicas=replicas))


@pytest.mark.parametrize(
    ("where", "replicas"), [("local", None), ("ray", None), ("ray", pb.Replicas(backend="ray", wanted=1, ready=1))]
)
def test_who_asks_elsewhere_than_in_kubernetes_is_told(where: str, replicas: pb.Replicas | None) -> None:
    assert list(seen(where, Scaling(gpus=1), replicas).replicas.problems) == [IN_VAIN]
    assert not seen(where, Scaling(), replicas).replicas.problems
    assert not seen(where, None, replicas).replicas.problems


def test_pods_get_them_also_before_the_first_was_seen() -> None:
    assert not seen("kubernetes", Scaling(gpus=1), None).HasField("replicas")
    there = pb.Replicas(backend="kubernetes", wanted=1, ready=0, problems=["1 pod: Unschedulable: no GPU"])
    assert seen("kubernetes", Scaling(gpus=1), there).replicas == there
