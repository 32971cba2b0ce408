"""The real broker under the supervisor: killed, it is back on the same port, so that clients find it again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from confluent_kafka.admin import AdminClient
from modelog_platform.parts.broker import bootstrap_of, broker_command
from modelog_platform.parts.ports import free_port
from modelog_platform.processes import ProcessSpec
from modelog_platform.supervisor import Supervisor

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "platform"))

from fake_processes import ports, prepared, running, until


async def test_a_killed_broker_is_back_on_the_same_port(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "data")
    port = free_port()
    broker = ProcessSpec("broker", broker_command(port), port, False, folder.logs / "broker.log")
    supervisor = Supervisor(folder, ports(), [broker])

    def now() -> dict[str, object]:
        return dict(supervisor.state()["processes"]["broker"])

    async with running(supervisor):
        before = now()
        os.kill(int(str(before["pid"])), signal.SIGKILL)
        await until("the broker is back", lambda: now()["restarts"] == 1 and now()["state"] == "healthy")
        assert now()["pid"] != before["pid"]
        admin = AdminClient({"bootstrap.servers": bootstrap_of(port), "log_level": 0})
        metadata = await asyncio.to_thread(admin.list_topics, timeout=60)
        assert len(metadata.brokers) == 1
