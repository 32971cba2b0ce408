"""deploy/identity.py makes the Secret that the chart mounts, with tokens that the services take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from modelog_common.domain.clock import SystemClock
from modelog_common.privacy.masters import parse_master_keys
from modelog_common.security.tokens import TokenSigner, TokenVerifier

SERVICES = ("registry", "training", "serving", "monitoring", "lineage", "gateway")


def make_identity(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "deploy/identity.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("identity") / "kept"


@pytest.fixture(scope="module")
def secret(repository: Path, directory: Path) -> dict[str, Any]:
    made = make_identity(repository, str(directory))
    assert made.returncode == 0, made.stderr
    return dict(json.loads(made.stdout))


def references(rendered: Any, service: str) -> list[dict[str, str]]:
    return [e["valueFrom"]["secretKeyRef"] for e in rendered.container(service).get("env", [])]


def test_it_is_the_secret_that_the_chart_mounts(secret: dict[str, Any], on_sqlite: Any) -> None:
    wanted = set()
    for service in SERVICES:
        (volume,) = (v for v in on_sqlite.pod(service)["volumes"] if v["name"] == "identity")
        (source,) = volume["projected"]["sources"]
        assert source["secret"]["name"] == secret["metadata"]["name"]
        wanted |= {item["key"] for item in source["secret"]["items"]}
        wanted |= {ref["key"] for ref in references(on_sqlite, service) if ref["name"] == secret["metadata"]["name"]}

    kubernetes_validate.validate(secret, "1.25", strict=True)
    assert set(secret["stringData"]) == wanted


def test_services_take_the_tokens_and_the_gateway_the_key(
    secret: dict[str, Any], on_sqlite: Any, tmp_path: Path
) -> None:
    (volume,) = (v for v in on_sqlite.pod("gateway")["volumes"] if v["name"] == "identity")
    for name, text in secret["stringData"].items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(volume["projected"]["defaultMode"])
    verifier = TokenVerifier.from_file(tmp_path / "public.pem", SystemClock())

    for service in SERVICES:
        identity = verifier.verify((tmp_path / f"{service}.token").read_text())
        assert identity.user == f"service:{service}"
        assert identity.may("model.read")
        assert not identity.may("user.write")
    TokenSigner.from_file(tmp_path / "signing.pem", SystemClock())
    assert len(parse_master_keys(secret["stringData"]["master.key"], "the Secret")) == 1


def test_the_same_directory_gives_the_same_secret(secret: dict[str, Any], repository: Path, directory: Path) -> None:
    again = make_identity(repository, str(directory))

    assert json.loads(again.stdout) == secret
    assert (directory / "signing.pem").stat().st_mode & 0o077 == 0


def test_a_lifetime_of_no_days_is_refused_and_nothing_is_made(repository: Path, tmp_path: Path) -> None:
    refused = make_identity(repository, str(tmp_path / "none"), "--days", "0")

    assert refused.returncode == 2
    assert "--days is 0; it must be at least 1" in refused.stderr
    assert not (tmp_path / "none").exists()
