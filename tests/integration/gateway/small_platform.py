"""The six services in this process, on a thread of their own: what does not need broker, graph and process limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import modelog
import modelog_gateway.app
import modelog_lineage.app
import modelog_monitoring.app
import modelog_registry.app
import modelog_serving.app
import modelog_training.app
from modelog_common.config import Settings
from modelog_common.domain.clock import Clock, SystemClock
from modelog_common.privacy.masters import new_master_key
from modelog_common.security.keys import create_key_pair, write_secret
from modelog_common.security.tokens import Identity, TokenSigner
from modelog_common.service import Host
from modelog_common.telemetry import logs
from modelog_platform.parts.ports import free_ports


async def build_training(host: Host) -> None:
    """Training that takes jobs and never starts them: the runner would start Ray."""
    await modelog_training.app.build(host)
    background = host._background
    background._works = [(name, work) for name, work in background._works if name != "runner"]


BUILDERS = {
    "registry": modelog_registry.app.build,
    "training": build_training,
    "serving": modelog_serving.app.build,
    "monitoring": modelog_monitoring.app.build,
    "lineage": modelog_lineage.app.build,
    "gateway": modelog_gateway.app.build,
}
START_S = 150
Builder = Callable[[Host], Awaitable[None]]


class SmallPlatform:
    """Six services without broker, graph and Ray; `settings` are for all of them. It can be started again after a stop.

    `builders` may name other composition roots; serving may have a clock of its own.
    """

    def __init__(
        self,
        folder: Path,
        builders: Mapping[str, Builder] = BUILDERS,
        *,
        serving_clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.folder, self._builders, self._extra = folder, builders, settings
        self._clocks = {"serving": serving_clock}
        keys = folder / "keys"
        self._signer = TokenSigner(create_key_pair(keys / "signing.pem", keys / "public.pem"), SystemClock())
        write_secret(folder / "data" / "keys" / "master.key", new_master_key().encode())
        self.http_port, self._oip_port, *ports = free_ports(2 + len(BUILDERS))
        self._ports = dict(zip(BUILDERS, ports, strict=True))
        self.url = f"http://127.0.0.1:{self.http_port}"
        logs.configure("test", "error")

    def token(self, user: str, *roles: str, tenant: str = "default", lifetime_s: float = 86_400) -> str:
        return self._signer.sign(Identity(user, tenant, frozenset(roles)), timedelta(seconds=lifetime_s))

    def client(self, user: str = "alice", *roles: str, tenant: str = "default") -> modelog.Client:
        return modelog.Client(self.url, self.token(user, *(roles or ("admin",)), tenant=tenant))

    def address(self, service: str) -> str:
        """Where a service answers gRPC."""
        return f"127.0.0.1:{self._ports[service]}"

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.endpoints: dict[str, Mapping[str, str]] = {}
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="platform", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S) or self._trouble is not None:
            raise RuntimeError(f"the small platform did not start within {START_S} s") from self._trouble

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._trouble = error
            self._ready.set()

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            hosts = []
            for name, build in self._builders.items():
                host = await stack.enter_async_context(Host(name, self._settings(name), self._clocks.get(name)))
                await build(host)
                up = asyncio.Event()
                group.create_task(host.run(lambda _, up=up: up.set()))
                await up.wait()
                hosts.append(host)
                self.endpoints[name] = host.endpoints
            self._ready.set()
            await self._stop.wait()
            for host in hosts:
                host.stop()

    def _settings(self, name: str) -> Settings:
        token = self.folder / "keys" / f"{name}.token"
        token.write_text(self.token(f"service:{name}", "service"))
        return Settings(
            data_dir=self.folder / "data",
            grpc_port=self._ports[name],
            http_port=self.http_port if name == "gateway" else 0,
            oip_grpc_port=self._oip_port if name == "serving" else 0,
            peers={n: f"127.0.0.1:{p}" for n, p in {**self._ports, "serving_oip": self._oip_port}.items()},
            public_key_file=self.folder / "keys" / "public.pem",
            signing_key_file=self.folder / "keys" / "signing.pem",
            service_token_file=token,
            drain_s=0.2,
            **self._extra,
        )
