"""Installing through ordinary package clients - apt-get, mvn, go - and saying plainly what is missing for it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelog_common.domain.errors import Unavailable

from modelog_platform.servers.recipe import Say

TAIL_LINES = 15
# A machine with an init system would start its own copy of a server with the package.
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
APT_INSTALL = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=600")


def need(program: str, why: str, remedy: str) -> str:
    """The path of a program; raises Unavailable, with the remedy, when it is not installed."""
    found = shutil.which(program)
    if found is None:
        raise Unavailable(f"{why} needs the program {program}, which is not there: {remedy}")
    return found


def apt_install(home: Path, say: Say, packages: Sequence[str], is_there: Callable[[], bool]) -> None:
    """Debian's packages, unless what they bring is there already."""
    if is_there():
        return
    wanted = " ".join(packages)
    need("apt-get", f"installing {wanted}", f"on a system without it, install {wanted} with its own package client")
    if os.geteuid() != 0:
        raise Unavailable(f"{wanted} can only be installed by root: run `sudo apt-get install {wanted}` once")
    with locked(home.parent, "apt"):
        say(f"apt-get install {wanted}")
        try:
            run(home, [*APT_INSTALL, *packages], APT_ENVIRONMENT)
        except Unavailable:  # the lists of packages may be missing, or older than the packages
            run(home, ["apt-get", "update", "--quiet"], APT_ENVIRONMENT)
            run(home, [*APT_INSTALL, *packages], APT_ENVIRONMENT)
    if not is_there():
        raise Unavailable(f"apt-get installed {wanted}, but the programs that they should bring are not there")


def maven_install(
    home: Path, say: Say, recipe: Path, main_class: str = "", module_flags: Callable[[Path], list[str]] | None = None
) -> None:
    """The jars that a pom.xml names, into `lib`; and the server's own main class, compiled, into `classes`."""
    sources = sorted(recipe.iterdir())
    with installing(home, b"".join(source.read_bytes() for source in sources)) as wanted:
        if not wanted:
            return
        why = f"installing {recipe.name}"
        need("javac", why, "install a JDK of Java 17 (Debian: apt-get install openjdk-17-jdk-headless)")
        need("mvn", why, "install Apache Maven (Debian: apt-get install maven)")
        for source in sources:
            shutil.copy(source, home)
        copy = ["dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime"]
        say("mvn dependency:copy-dependencies")
        run(home, ["mvn", "-q", "-B", *copy])
        if main_class:
            flags = module_flags(home) if module_flags else ["-cp", "lib/*"]
            run(home, ["javac", *flags, "-d", "classes", f"{main_class}.java"])


def python_environment(home: Path, content: bytes, wanted: Sequence[str], bare: Sequence[str] = ()) -> Path:
    """The python of a virtual environment with these packages, made unless one of the same `content` is there.

    `bare` packages come without what they need.
    """
    with installing(home, content) as missing:
        if missing:
            from uv import find_uv_bin

            uv = find_uv_bin()
            install = [uv, "pip", "install", "--quiet", "--system-certs", "--python", "venv/bin/python"]
            run(home, [uv, "venv", "--quiet", "--python", sys.executable, "venv"])
            run(home, [*install, *wanted])
            if bare:
                run(home, [*install, "--no-deps", *bare])
    return home / "venv" / "bin" / "python"


def go_build(
    home: Path, say: Say, package: str, version: str, program: str, environment: Mapping[str, str] | None = None
) -> None:
    """Build a program from its Go module, in a module of its own that asks for it."""
    need("go", f"building {program}", "install Go 1.24 or newer (https://go.dev/doc/install)")
    (home / "go.mod").write_text(f"module local/{program}\n\ngo 1.24\n")
    say(f"go build {package}@{version}: takes minutes the first time")
    run(home, ["go", "get", "-tool", f"{package}@{version}"])
    run(home, ["go", "build", "-o", program, package], environment)


@contextmanager
def installing(home: Path, recipe: bytes) -> Iterator[bool]:
    """Gives whether there is something to install: not when the same recipe was installed here whole."""
    mark, digest = home / "installed", hashlib.sha256(recipe).hexdigest()
    with locked(home.parent, home.name):
        if mark.is_file() and mark.read_text() == digest:
            yield False
            return
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        yield True
        mark.write_text(digest)


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """One process at a time: others wait until what it installs is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(home: Path, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run one step; raises Unavailable with the end of what it said."""
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command,
        cwd=home,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-TAIL_LINES:])
        raise Unavailable(f"`{' '.join(command)}` in {home} ended with status {done.returncode}:\n{said}")
