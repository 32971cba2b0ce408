"""The interoperability client of grpc-java passes its cases against our own edge, with each of its two transports.

Those that need Google's credentials or load balancers are left out, and the probes of two cases, in which a server
must refuse what was not compressed: no handler of grpcio's or ours is told that.
"""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path

import pytest
from interop_servicer import TestService, services
from modelog_common.edge.server import EdgeServer
from modelog_common.edge.tls import server_context
from modelog_platform.servers.packages import maven_install
from modelog_platform.servers.recipe import servers_home

CASES = (
    "empty_unary", "large_unary", "client_compressed_unary_noprobe", "server_compressed_unary", "client_streaming",
    "client_compressed_streaming_noprobe", "server_streaming", "server_compressed_streaming", "ping_pong",
    "empty_stream", "custom_metadata", "status_code_and_message", "special_status_message", "unimplemented_method",
    "unimplemented_service", "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server",
    "very_large_request", "pick_first_unary", "rpc_soak", "channel_soak",
)  # fmt: skip
OVER_TLS = ("large_unary", "ping_pong", "server_compressed_streaming", "channel_soak")
# The soak cases hold each call against a limit, which a busy machine must not decide.
PATIENCE_MS, PATIENCE_S = 60_000, 120
TLS = ("--use_tls=true", "--use_test_ca=true", "--server_host_override=foo.test.google.fr")


@pytest.fixture(scope="module")
def jars() -> Path:
    home = servers_home() / "grpc-interop"
    maven_install(home, lambda step: print(f"grpc-interop: {step}"), Path(__file__).parent / "interop_client")
    return home / "lib"


@pytest.mark.parametrize("transport", ["netty", "okhttp"])
@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "tls"])
async def test_the_interoperability_cases(jars: Path, tmp_path: Path, transport: str, over_tls: bool) -> None:
    server = EdgeServer()
    services.add_TestServiceServicer_to_server(TestService(), server)
    tls = server_context(*certificate_of(jars, tmp_path)) if over_tls else None
    port = await server.listen("127.0.0.1", 0, tls)
    options = [f"--use_okhttp={str(transport == 'okhttp').lower()}", *(TLS if over_tls else ["--use_tls=false"])]
    said = {case: await failure(jars, port, case, options) for case in (OVER_TLS if over_tls else CASES)}
    await server.stop(0)
    assert {case: why for case, why in said.items() if why} == {}


async def failure(jars: Path, port: int, case: str, options: list[str]) -> str:
    """Run one case; what the client said if it failed."""
    soak = [
        f"--soak_per_iteration_max_acceptable_latency_ms={PATIENCE_MS}",
        f"--soak_overall_timeout_seconds={PATIENCE_S}",
    ]
    place = ["--server_host=127.0.0.1", f"--server_port={port}", f"--test_case={case}"]
    client = await asyncio.create_subprocess_exec(
        "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp", f"{jars}/*",
        "io.grpc.testing.integration.TestServiceClient", *place, *soak, *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            said, _ = await client.communicate()
    except TimeoutError:
        client.kill()
        await client.wait()
        return f"had not ended after {PATIENCE_S} s"
    return said.decode(errors="replace")[-3000:] if client.returncode else ""


def certificate_of(jars: Path, folder: Path) -> tuple[Path, Path]:
    """The certificate and key of a server that the client's own test authority signed."""
    with zipfile.ZipFile(next(jars.glob("grpc-testing-*.jar"))) as jar:
        names = ("certs/server1.pem", "certs/server1.key")
        jar.extractall(folder, names)
    return folder / names[0], folder / names[1]
