"""The Tiltfile, evaluated with Tilt's builtins recorded: what it builds, deploys and forwards is there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import starlark
import yaml

SERVICES = {"registry", "training", "serving", "monitoring", "lineage", "gateway"}
BUILTINS = ("docker_build", "helm", "k8s_yaml", "k8s_resource", "local", "version_settings")


class Tilt:
    """The calls that a Tiltfile makes, by builtin, as (positional, keyword) arguments."""

    def __init__(self, path: Path) -> None:
        self.calls: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {name: [] for name in BUILTINS}
        module = starlark.Module()
        for name in BUILTINS:
            module.add_callable(name, self._recorder(name))
        program = starlark.parse("Tiltfile", path.read_text(), starlark.Dialect.standard())
        starlark.eval(module, program, starlark.Globals.standard())

    def _recorder(self, name: str) -> Any:
        def record(*args: Any, **kwargs: Any) -> str:
            self.calls[name].append((args, kwargs))
            return f"{name} {len(self.calls[name])}"

        return record


@pytest.fixture(scope="module")
def tilt(repository: Path) -> Tilt:
    return Tilt(repository / "Tiltfile")


def test_six_images_are_built_from_paths_that_exist(tilt: Tilt, repository: Path) -> None:
    builds = tilt.calls["docker_build"]

    assert {args[0] for args, _ in builds} == {f"modelog/{service}" for service in SERVICES}
    assert len(builds) == len(SERVICES)
    for (image,), build in builds:
        assert build["build_args"] == {"SERVICE": image.removeprefix("modelog/")}
        assert (repository / build["dockerfile"]).is_file()
        assert (repository / build["context"]).is_dir()
        assert [path for path in build["only"] if not (repository / path).exists()] == []
        assert f"services/{build['build_args']['SERVICE']}" in build["only"]


def test_the_images_are_those_that_the_chart_runs(tilt: Tilt, chart: Any, repository: Path) -> None:
    ((path,), helm) = tilt.calls["helm"][0]
    values = yaml.safe_load((repository / helm["values"][0]).read_text())
    rendered = chart.render(values, name=helm["name"])
    images = {rendered.container(service)["image"].rpartition(":")[0] for service in SERVICES}

    assert repository / path == chart.path
    assert images == {args[0] for args, _ in tilt.calls["docker_build"]}


def test_the_chart_and_the_parts_are_deployed(tilt: Tilt, repository: Path) -> None:
    identity, parts, release = (args[0] for args, _ in tilt.calls["k8s_yaml"])

    assert (identity, release) == ("local 1", "helm 1")
    assert (repository / parts).is_file()


def test_the_identity_is_made_by_a_script_that_exists_and_kept_out_of_git(tilt: Tilt, repository: Path) -> None:
    (((command,), _),) = tilt.calls["local"]
    _, script, directory = command

    assert (repository / script).is_file()
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", f"{directory}/signing.pem"], cwd=repository, check=False
    )
    assert ignored.returncode == 0


def test_every_resource_is_a_workload_and_the_gateway_is_forwarded(tilt: Tilt, chart: Any, on_sqlite: Any) -> None:
    resources = {args[0]: options for args, options in tilt.calls["k8s_resource"]}
    forwarded = {name: r["port_forwards"] for name, r in resources.items() if r.get("port_forwards")}
    (gateway_port,) = (p["containerPort"] for p in on_sqlite.container("gateway")["ports"] if p["name"] == "http")

    assert set(resources) == {"kafka", "neo4j", *on_sqlite.of_kind("Deployment")}
    assert forwarded == {"modelog-gateway": [f"8080:{gateway_port}"]}


@pytest.mark.parametrize("version", ["1.25", kubernetes_validate.latest_version()])
def test_the_parts_are_valid_and_are_what_the_chart_looks_for(repository: Path, on_sqlite: Any, version: str) -> None:
    parts = list(yaml.safe_load_all((repository / "deploy/tilt/parts.yaml").read_text()))
    for manifest in parts:
        kubernetes_validate.validate(manifest, version, strict=True)
    services = {p["metadata"]["name"]: p["spec"]["ports"][0]["port"] for p in parts if p["kind"] == "Service"}
    (secret,) = (p for p in parts if p["kind"] == "Secret")
    settings = on_sqlite.settings("lineage")
    wanted = {e["valueFrom"]["secretKeyRef"]["key"] for e in on_sqlite.container("lineage")["env"]}

    assert settings["MODELOG_KAFKA_BOOTSTRAP"] == f"kafka:{services['kafka']}"
    assert settings["MODELOG_GRAPH_URI"] == f"bolt://neo4j:{services['neo4j']}"
    assert secret["metadata"]["name"] == "modelog-graph"
    assert wanted <= set(secret["stringData"])
