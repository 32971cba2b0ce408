"""h2spec, the conformance tester of HTTP/2, finds nothing against our own edge."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from edge_servicer import SERVICE, own
from modelog_platform.servers.packages import go_build, installing
from modelog_platform.servers.recipe import servers_home

PACKAGE, VERSION = "github.com/summerwind/h2spec/cmd/h2spec", "v2.2.1+incompatible"


@pytest.fixture(scope="module")
def h2spec() -> Path:
    home = servers_home() / "h2spec"
    with installing(home, f"{PACKAGE}@{VERSION}".encode()) as wanted:
        if wanted:
            go_build(home, lambda step: print(f"h2spec: {step}"), PACKAGE, VERSION, "h2spec")
    return home / "h2spec"


async def test_all_of_h2spec(h2spec: Path) -> None:
    async with own() as edge:
        # An answer may take so many seconds.
        command = [h2spec, "-h", "127.0.0.1", "-p", str(edge.port), "-P", f"/{SERVICE}/Echo", "-o", "30"]
        told = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.PIPE)
        said = (await told.communicate())[0].decode(errors="replace")
    assert "145 tests, 145 passed, 0 skipped, 0 failed" in said, said[-6000:]
