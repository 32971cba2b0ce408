"""Alerts reach their channels: again until they are taken, after a restart too, and with the same key each time."""

from __future__ import annotations

from typing import Any

from modelog_monitoring.monitor.events import AlertDelivered
from modelog_proto.monitoring.v1 import monitoring_pb2 as pb


async def deliveries(bench: Any) -> list[str]:
    """How each alert stands with each channel."""
    alerts = (await bench.calls.ListAlerts(pb.ListAlertsRequest())).alerts
    return [status for alert in alerts for status in alert.deliveries.values()]


async def until_all(bench: Any, count: int, status: str) -> None:
    found: list[str] = []

    async def reached() -> bool:
        found[:] = await deliveries(bench)
        return len(found) == count and all(s.startswith(status) for s in found)

    await bench.until(reached, f"{count} deliveries are {status}", lambda: f"They are {found}")


async def test_a_channel_that_refuses_is_asked_again(bench: Any) -> None:
    bench.hook.refusals = [503] * 1000
    async with bench.monitoring():
        await bench.create_monitor()
        bench.streams.hour(0)
        bench.streams.hour(1)
        await until_all(bench, 2, "answered 503: not now")
        bench.hook.refusals.clear()
        await until_all(bench, 2, "delivered")
    attempts = [e.attempts for e in await bench.events() if isinstance(e, AlertDelivered)]
    assert min(attempts) >= 2
    assert len(set(bench.hook.keys)) == 2


async def test_what_was_not_taken_is_delivered_after_a_restart(bench: Any) -> None:
    bench.hook.refusals = [503] * 1000
    async with bench.monitoring():
        await bench.create_monitor()
        bench.streams.hour(0)
        bench.streams.hour(1)
        await until_all(bench, 2, "answered 503")
    assert bench.hook.bodies == []
    bench.hook.refusals.clear()
    async with bench.monitoring():
        await until_all(bench, 2, "delivered")
    assert len(bench.hook.once) == 2


async def test_nobody_at_the_address_is_told(bench: Any) -> None:
    nobody = [pb.AlertChannel(kind=pb.CHANNEL_KIND_WEBHOOK, url="http://127.0.0.1:9/nobody")]
    async with bench.monitoring():
        await bench.create_monitor(channels=nobody)
        bench.streams.hour(0)
        bench.streams.hour(1)
        await until_all(bench, 1, "ClientConnectorError: Cannot connect to host 127.0.0.1:9")


async def test_the_address_of_a_channel_is_a_secret_that_only_the_channel_sees(bench: Any) -> None:
    secret = "T0P-SECRET-9f8e7d"
    channels = [
        pb.AlertChannel(kind=pb.CHANNEL_KIND_WEBHOOK, url=f"{bench.hook.url}/{secret}"),
        pb.AlertChannel(kind=pb.CHANNEL_KIND_WEBHOOK, url=f"{bench.hook.url}/{secret}-other"),
        pb.AlertChannel(kind=pb.CHANNEL_KIND_SLACK, url=f"http://127.0.0.1:9/{secret}"),
    ]
    hidden = [f"{bench.hook.url}/...", f"{bench.hook.url}/...", "http://127.0.0.1:9/..."]
    bench.hook.refusals = [503] * 1000
    answers: list[Any] = []
    async with bench.monitoring():
        created = await bench.create_monitor(channels=channels)
        assert (await bench.create_monitor(channels=channels)).position == created.position
        bench.streams.hour(0)
        bench.streams.hour(1)

        async def refused() -> bool:
            answers[:] = await deliveries(bench)
            return len(answers) == 3 and "waiting" not in answers

        await bench.until(refused, "every channel has refused", lambda: f"They are {answers}")
        assert {f"answered 503: not now, {bench.hook.url}/..."} < set(answers)
        bench.hook.refusals.clear()

        async def taken() -> bool:
            answers[:] = await deliveries(bench)
            return answers.count("delivered") == 2

        await bench.until(taken, "two channels took the alert", lambda: f"They are {answers}")
        alerts = await bench.calls.ListAlerts(pb.ListAlertsRequest())
        monitor = await bench.calls.GetMonitor(pb.GetMonitorRequest(name="flights"))
    assert sorted(body["path"] for body in bench.hook.once.values()) == [f"/{secret}", f"/{secret}-other"]
    assert [c.url for c in monitor.channels] == hidden
    stored = {file: file.read_bytes() for file in bench.folder.rglob("*") if file.is_file()}
    assert any(b"http://127.0.0.1:9/..." in content for content in stored.values())
    assert [file for file, content in stored.items() if secret.encode() in content] == []
    assert secret not in f"{alerts}{monitor}{created}"


async def test_an_alert_is_sent_only_where_webhooks_may_send(bench: Any) -> None:
    """What a name leads to is seen when something is sent; the setting may have changed since the monitor was made."""
    private = f"{bench.hook.url}/private".replace("127.0.0.1", "localhost")
    async with bench.monitoring():
        await bench.create_monitor(channels=[pb.AlertChannel(kind=pb.CHANNEL_KIND_WEBHOOK, url=private)])
    bench.settings = bench.settings.changed(webhook_networks="10.0.0.0/8")
    async with bench.monitoring():
        bench.streams.hour(0)
        bench.streams.hour(1)
        await until_all(bench, 1, "ClientConnectorError")
        (status,) = await deliveries(bench)
    assert "not in MODELOG_WEBHOOK_NETWORKS, which http needs" in status
    assert bench.hook.bodies == []
