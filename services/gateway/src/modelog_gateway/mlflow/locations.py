"""Where clients put and find files: the root of an experiment, a run, a logged model."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from modelog_common.rpc.call import current_call
from modelog_proto.registry.v1 import experiment_pb2 as pb

from modelog_gateway.mlflow.values import shown_id

if TYPE_CHECKING:
    from modelog_proto.registry.v1.experiment_pb2_grpc import ExperimentRegistryAsyncStub

SCHEME = "mlflow-artifacts:/"
REMEMBERED = 4096


def experiment_root(experiment: pb.Experiment) -> str:
    """Where its creator wants them, else the proxy here."""
    return experiment.artifact_location or SCHEME + shown_id(experiment.id)


def run_root(experiment_root: str, run_id: str) -> str:
    return f"{experiment_root}/{run_id}/artifacts"


def model_root(experiment_root: str, model_id: str) -> str:
    return f"{experiment_root}/models/{model_id}/artifacts"


class Locations:
    """The roots of experiments, which never change: each is asked for once."""

    def __init__(self, experiments: ExperimentRegistryAsyncStub) -> None:
        self._experiments = experiments
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def of(self, experiment_id: str) -> str:
        """The root of an experiment of the caller's tenant; raises NotFound."""
        key = (current_call().identity.tenant, experiment_id)
        if key not in self._known:
            request = pb.GetExperimentByIdRequest(experiment_id=experiment_id)
            self.learn(await self._experiments.GetExperimentById(request))
        return self._known[key]

    def learn(self, experiment: pb.Experiment) -> None:
        """Remember the root of an experiment that was just read."""
        self._known[current_call().identity.tenant, experiment.id] = experiment_root(experiment)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
