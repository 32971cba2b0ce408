"""Unmodified clients of the inference protocol, each in an environment of its own: their contracts and ours clash."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from modelog_platform.servers.packages import python_environment
from modelog_platform.servers.recipe import servers_home

PROGRAMS = Path(__file__).parent / "programs"
REQUIREMENTS = {
    "tritonclient": ("tritonclient[grpc,http]==2.73.0", "numpy==2.4.6"),
    "open-inference": ("open-inference-grpc==2.0.0", "open-inference-openapi==2.0.0.1", "protobuf==7.36.2"),
    "kserve": ("kserve==0.21.0",),
    "schemathesis": ("schemathesis==4.32.5",),
}
# Without what they need: for a file that they ship.
BARE = {"schemathesis": ("mlserver==1.7.1",)}
PROGRAM_TIMEOUT_S = 240


@dataclass(frozen=True)
class Environment:
    """One of them, installed."""

    home: Path

    @property
    def folder(self) -> Path:
        """Where its programs are."""
        return self.home / "venv" / "bin"

    def file(self, pattern: str) -> Path:
        """A file that one of its packages ships."""
        (found,) = (self.home / "venv").glob(f"lib/python*/site-packages/{pattern}")
        return found

    async def python(self, program: Path, *arguments: str) -> str:
        """Run a program; returns what it printed. Its assertions are those of the test."""
        return await self.run("python", str(program), *arguments)

    async def run(self, command: str, *arguments: str, folder: Path | None = None) -> str:
        process = await asyncio.create_subprocess_exec(
            str(self.folder / command), *arguments, cwd=folder, env=_plain(), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PROGRAM_TIMEOUT_S):
                out, complaints = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, f"{command} {' '.join(arguments[:1])}:\n{(out + complaints).decode()[-8000:]}"
        return out.decode()


def environment(name: str) -> Environment:
    """The environment of a client, installed if it is not there yet."""
    home, wanted, bare = servers_home() / f"oip-{name}", REQUIREMENTS[name], BARE.get(name, ())
    python_environment(home, repr((sys.version_info[:2], wanted, bare)).encode(), wanted, bare)
    return Environment(home)


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MODELOG_"))}
