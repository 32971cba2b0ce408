"""MinIO, built from its Go module: S3 with signatures that are checked, and one bucket `modelog`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import go_build, installing
from modelog_platform.servers.recipe import Recipe, Say, Site, http_ok

USER = "modelog"
BUCKET = "modelog"
PACKAGE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"


def install(home: Path, say: Say) -> None:
    with installing(home, f"{PACKAGE}@{VERSION}".encode()) as wanted:
        if wanted:
            go_build(home, say, PACKAGE, VERSION, "minio")


def prepare(site: Site) -> None:
    (site.data / BUCKET).mkdir(parents=True, exist_ok=True)


def command(site: Site) -> list[str]:
    addresses = ["--address", f"{LOOPBACK}:{site.port}", "--console-address", f"{LOOPBACK}:{site.ports[1]}"]
    certificates = ["--certs-dir", str(site.folder / "certs")]
    return [str(site.home / "minio"), "server", "--quiet", *addresses, *certificates, str(site.data)]


def environment(site: Site) -> Mapping[str, str]:
    return {
        "MINIO_ROOT_USER": USER,
        "MINIO_ROOT_PASSWORD": site.password,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        "MINIO_CI_CD": "1",  # it may keep its data on the disk of the operating system
        "GOMEMLIMIT": "200MiB",
    }


def serves(site: Site) -> bool:
    return http_ok(site.port, "/minio/health/ready")


def address(site: Site) -> str:
    return f"http://{LOOPBACK}:{site.port}"


MINIO = Recipe(
    name="minio",
    title="MinIO",
    user=USER,
    install=install,
    prepare=prepare,
    command=command,
    environment=environment,
    serves=serves,
    address=address,
    ports=2,
)
