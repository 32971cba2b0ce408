"""The container file: what it copies is enough for uv to install each service from the lock, and no more."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")


@pytest.fixture(scope="module")
def instructions(repository: Path) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) in order, continuation lines joined and comments left out."""
    text = (repository / "deploy/docker/Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def copied(instructions: list[tuple[str, str]], service: str) -> list[str]:
    """Paths of the repository that the build stage copies for a service."""
    sources = []
    for word, rest in instructions:
        if word == "COPY" and not rest.startswith("--from"):
            sources.extend(rest.split()[:-1])
    written = {"${SERVICE}": service, "${SERVICE/training/serving}": service.replace("training", "serving")}
    for source, path in written.items():
        sources = [name.replace(source, path) for name in sources]
    return list(dict.fromkeys(sources))


def sync_command(instructions: list[tuple[str, str]], service: str) -> list[str]:
    (command,) = (rest for word, rest in instructions if word == "RUN" and "uv sync" in rest)
    _, _, sync = command.partition("uv sync")
    # As the shell of the build reads it.
    read = ["sh", "-c", f"printf '%s\\n' {sync}"]
    said = subprocess.run(read, env=os.environ | {"SERVICE": service}, capture_output=True, text=True, check=True)
    return ["uv", "sync", *said.stdout.split()]


@pytest.mark.parametrize("service", SERVICES)
def test_uv_finds_a_service_in_what_is_copied(
    instructions: list[tuple[str, str]], repository: Path, tmp_path: Path, service: str
) -> None:
    for source in copied(instructions, service):
        target = tmp_path / source
        if (repository / source).is_dir():
            shutil.copytree(repository / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(repository / source, target)
    uv, *arguments = sync_command(instructions, service)
    command = [Path(sys.executable).with_name(uv), *arguments, "--dry-run", "--offline", "--python", sys.executable]
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "environment")}

    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)

    assert ran.returncode == 0, ran.stderr
    installed = {line.split()[1].partition("==")[0] for line in ran.stderr.splitlines() if line.startswith(" + ")}
    assert {f"modelog-{service}", "modelog-common", "modelog-proto", "grpcio"} <= installed
    drivers = {
        "asyncpg",
        "aiomysql",
        "kurrentdbclient",
        "influxdb-client",
        "elasticsearch",
        "redis",
        "aiormq",
        "obstore",
    }
    assert drivers <= installed
    runs_models = service in ("serving", "training")
    assert ({"lightgbm", "onnxruntime", "scikit-learn", "numba"} <= installed) == runs_models
    # What a batch needs: queries, and Ray Data.
    assert ({"duckdb", "pyarrow", "ray"} <= installed) == (service == "training")
    others = {f"modelog-{s}" for s in SERVICES if s != service} - ({"modelog-serving"} if runs_models else set())
    assert installed & ({"pytest", "ruff", "modelog-platform"} | others) == set()


def test_the_process_is_not_root_and_python_gets_the_signals(instructions: list[tuple[str, str]]) -> None:
    last = dict(instructions)

    assert last["USER"] == "10001:10001"
    assert last["ENTRYPOINT"].startswith('["/bin/sh", "-c", "exec python -m')


def test_the_user_is_the_one_that_the_chart_runs_as(instructions: list[tuple[str, str]], on_sqlite: object) -> None:
    security = on_sqlite.pod("registry")["securityContext"]  # type: ignore[attr-defined]

    assert f"{security['runAsUser']}:{security['runAsGroup']}" == dict(instructions)["USER"]


def entry_point(instructions: list[tuple[str, str]], service: str, tmp_path: Path) -> list[str]:
    """What the container's entry point starts, with a `python` that prints its arguments."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    words = [w.strip(",") for w in shlex.split(dict(instructions)["ENTRYPOINT"].strip("[]"))]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SERVICE": service}
    ran = subprocess.run([*words, "--flag"], env=environment, capture_output=True, text=True, check=True, timeout=180)
    return ran.stdout.split()


@pytest.mark.parametrize("service", SERVICES)
def test_the_entry_point_starts_the_service_as_a_module(
    instructions: list[tuple[str, str]], service: str, tmp_path: Path
) -> None:
    assert entry_point(instructions, service, tmp_path) == ["-m", f"modelog_{service}", "--flag"]


@pytest.mark.parametrize(("service", "status"), [*((s, 0) for s in SERVICES), ("registri", 1), ("", 1)])
def test_an_unknown_service_is_refused_by_name(instructions: list[tuple[str, str]], service: str, status: int) -> None:
    (check,) = (rest for word, rest in instructions if word == "RUN" and rest.startswith("case"))

    ran = subprocess.run(
        ["/bin/sh", "-c", check], env={"SERVICE": service}, capture_output=True, text=True, timeout=180
    )

    assert ran.returncode == status
    if status:
        assert f"SERVICE is '{service}'; allowed are {', '.join(SERVICES)}" in ran.stderr


def test_uv_is_the_version_of_the_makefile(instructions: list[tuple[str, str]], repository: Path) -> None:
    (version,) = (rest.partition("=")[2] for word, rest in instructions if rest.startswith("UV_VERSION="))

    assert f"UV_VERSION := {version}\n" in (repository / "Makefile").read_text()


def test_the_build_context_is_what_is_copied_and_no_more(instructions: list[tuple[str, str]], repository: Path) -> None:
    lines = (repository / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert "*" in lines
    assert allowed == {source.partition("/")[0] for source in copied(instructions, "registry")}
