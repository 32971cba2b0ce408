"""One column of a comparison: a run, the repeated runs of one thing, or a model version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelog_proto.registry.v1 import experiment_pb2, model_pb2

from modelog_registry.api.values import object_of

PACKAGE = "package "


@dataclass(frozen=True)
class Member:
    """What one run, or one version, brings to its column."""

    metrics: Mapping[str, float]
    parameters: Mapping[str, Any]
    datasets: Mapping[str, str]
    environment: Mapping[str, str]
    size_bytes: int
    duration_s: float | None


@dataclass(frozen=True)
class Side:
    """A column; its members are in the order in which they were named."""

    name: str
    run_ids: tuple[str, ...]
    members: tuple[Member, ...]

    def values(self, metric: str) -> list[float | None]:
        """A metric of each member, None where it has none."""
        return [member.metrics.get(metric) for member in self.members]

    def present(self, metric: str) -> list[float]:
        return [value for value in self.values(metric) if value is not None]

    def distinct(self, of: Callable[[Member], Mapping[str, Any]], name: str) -> list[Any]:
        """The values of a name among the members, each once, in their order."""
        found: list[Any] = []
        for member in self.members:
            mapping = of(member)
            if name in mapping and mapping[name] not in found:
                found.append(mapping[name])
        return found


def side_of_runs(runs: Sequence[experiment_pb2.Run]) -> Side:
    """A run, or repeated runs under the name of the first."""
    name = runs[0].name or runs[0].id
    return Side(
        name=name if len(runs) == 1 else f"{name} ({len(runs)} runs)",
        run_ids=tuple(run.id for run in runs),
        members=tuple(_member(run) for run in runs),
    )


def side_of_version(version: model_pb2.ModelVersion, run: experiment_pb2.Run | None) -> Side:
    """A version, with what it does not say itself from the run that it came from."""
    came_from = _member(run) if run is not None else Member({}, {}, {}, {}, 0, None)
    files = version.artifacts or [version.artifact]
    datasets = {ref.dataset: f"version {ref.version}" for ref in version.datasets}
    own = _environment(version.environment) if version.HasField("environment") else {}
    return Side(
        name=f"{version.model}/{version.version}",
        run_ids=(version.run_id,) if version.run_id else (),
        members=(
            Member(
                metrics={**came_from.metrics, **version.metrics},
                parameters={**came_from.parameters, **object_of(version.hyperparameters)},
                datasets={**datasets, **came_from.datasets},
                environment={**came_from.environment, **own, "flavor": version.flavor},
                size_bytes=sum(file.size_bytes for file in files),
                duration_s=came_from.duration_s,
            ),
        ),
    )


def _member(run: experiment_pb2.Run) -> Member:
    ended = run.HasField("ended_at")
    environment = run.environment
    return Member(
        metrics=dict(run.metrics),
        parameters=object_of(run.parameters),
        datasets=_datasets(run),
        environment={
            **_environment(environment),
            **_named({"entry point": environment.entry_point, "source": environment.source_digest[:12]}),
            **({"uncommitted changes": "yes"} if environment.git_dirty else {}),
        },
        size_bytes=sum(artifact.size_bytes for artifact in run.artifacts),
        duration_s=(run.ended_at.ToMicroseconds() - run.started_at.ToMicroseconds()) / 1e6 if ended else None,
    )


def _datasets(run: experiment_pb2.Run) -> dict[str, str]:
    """By name; a run may read several of one name, as a tracker's client for training and for evaluation."""
    read = [(each.name, each.digest) for each in run.inputs]
    read += [(each.dataset, f"version {each.version} ({each.digest[:12]})") for each in run.datasets]
    return {name: ", ".join(told for of, told in read if of == name) for name, _ in read}


def _environment(environment: experiment_pb2.Environment | model_pb2.ModelEnvironment) -> dict[str, str]:
    named = {"python": environment.python, "platform": environment.platform, "git commit": environment.git_commit}
    return {
        **_named(named),
        **{PACKAGE + package: version for package, version in environment.packages.items()},
    }


def _named(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
