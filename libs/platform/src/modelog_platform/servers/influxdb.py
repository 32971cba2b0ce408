"""InfluxDB 2, built from its Go module (three minutes, with Rust for Flux): one organisation, one token.

The password of a site is InfluxDB's token as well as the password of its first user.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from modelog_common.domain.errors import Unavailable

from modelog_platform.parts.ports import LOOPBACK
from modelog_platform.servers.packages import apt_install, go_build, installing, need, run
from modelog_platform.servers.recipe import Recipe, Say, Site, http_ok

USER = "modelog"
ORGANISATION = "modelog"
BUCKET = "modelog"
PACKAGE = "github.com/influxdata/influxdb/v2/cmd/influxd"
VERSION = "v2.7.11"
PKG_CONFIG = "github.com/influxdata/pkg-config@v0.2.7"  # finds and builds libflux (Rust) for cgo
# libflux denies warnings that compilers newer than its pinned one have since added.
LENIENT = '#!/bin/sh\nexec "$@" --cap-lints allow\n'
SETUP_TIMEOUT_S = 60.0


def install(home: Path, say: Say) -> None:
    with installing(home, f"{PACKAGE}@{VERSION} {PKG_CONFIG}".encode()) as wanted:
        if not wanted:
            return
        need("cargo", "building InfluxDB", "install Rust (https://rustup.rs)")
        for program in ("clang", "pkg-config"):
            apt_install(home, say, [program], Path("/usr/bin", program).exists)
        lenient = home / "rustc-lenient"
        lenient.write_text(LENIENT)
        lenient.chmod(0o755)
        run(home, ["go", "install", PKG_CONFIG], {"GOBIN": str(home)})
        rust = {"RUSTC_WRAPPER": str(lenient), "RUSTUP_TOOLCHAIN": "stable", "PKG_CONFIG": str(home / "pkg-config")}
        go_build(home, say, PACKAGE, VERSION, "influxd", rust)


def prepare(site: Site) -> None:
    """The first time, run it at its second port, where nobody looks for it, until it has its user and token."""
    if (site.folder / "set-up").exists():
        return
    aside = replace(site, ports=site.ports[1:])
    with (site.folder / "set-up.log").open("wb") as log:
        server = subprocess.Popen(
            command(aside), env={**os.environ, **environment(aside)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + SETUP_TIMEOUT_S
        while not serves(aside):
            if server.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"InfluxDB did not come up to be set up; see {log.name}")
            time.sleep(0.05)
        set_up(aside)
    finally:
        server.terminate()
        server.wait()
    (site.folder / "set-up").touch()


def set_up(site: Site) -> None:
    """Give it its token, unless an attempt before this one did."""
    url = f"{address(site)}/api/v2/setup"
    with urllib.request.urlopen(url) as answer:  # noqa: S310
        if not json.load(answer)["allowed"]:
            return
    wanted = {
        "username": USER,
        "password": site.password,
        "org": ORGANISATION,
        "bucket": BUCKET,
        "token": site.password,
    }
    with urllib.request.urlopen(url, json.dumps(wanted).encode()):  # noqa: S310
        pass


def command(site: Site) -> list[str]:
    return [
        str(site.home / "influxd"), "--bolt-path", str(site.folder / "influxd.bolt"),
        "--sqlite-path", str(site.folder / "influxd.sqlite"), "--engine-path", str(site.folder / "engine"),
        "--http-bind-address", f"{LOOPBACK}:{site.port}", "--reporting-disabled", "--log-level", "warn",
    ]  # fmt: skip


def environment(site: Site) -> Mapping[str, str]:
    return {"GOMEMLIMIT": "300MiB", "INFLUX_CONFIGS_PATH": str(site.folder / "configs")}


def serves(site: Site) -> bool:
    return http_ok(site.port, "/health")


def address(site: Site) -> str:
    return f"http://{LOOPBACK}:{site.port}"


INFLUXDB = Recipe(
    name="influxdb",
    title="InfluxDB",
    user=USER,
    install=install,
    prepare=prepare,
    command=command,
    environment=environment,
    serves=serves,
    address=address,
    ports=2,
)
