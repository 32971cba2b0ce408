"""A model that stopped learning is told of by every monitor of its deployment, and so is that it learns again."""

from __future__ import annotations

from typing import Any

from modelog_monitoring.monitor.events import AlertKind, AlertRaised

AT = "2026-11-02T09:00:00+00:00"
OF = {"deployment_id": "d-1", "model": "flight-delay", "at": AT}


def stopped(bench: Any, name: str = "flights", version: str = "1.0.0") -> None:
    seen = {"labels": 100, "error_sum": 1.0, "registered_error_sum": 1.0, "error_squares": 1.0}
    bench.streams.event(
        "serving", "LearningStopped", **OF, name=name, version=version, step=7, digest_before="b" * 64,
        digest_after="a" * 64, seen=seen, why="its error is 1.8 times that of the version as it was registered",
    )  # fmt: skip


def learns(bench: Any, mode: str = "on", name: str = "flights") -> None:
    bench.streams.event("serving", "LearningSet", **OF, name=name, mode=mode, terms={}, reason="", by="bob")


async def raised(bench: Any) -> list[AlertRaised]:
    kinds = (AlertKind.LEARNING_STOPPED, AlertKind.LEARNING_RESUMED)
    return [e for e in await bench.events() if isinstance(e, AlertRaised) and e.kind in kinds]


async def test_that_a_model_stopped_learning_and_that_it_goes_on_is_told_once(bench: Any) -> None:
    async with bench.monitoring():
        await bench.create_monitor()
        # Setting it to learn says nothing where nothing had stopped, nor is another deployment's monitor asked.
        learns(bench)
        stopped(bench, name="elsewhere")
        stopped(bench)

        async def came(bodies: int) -> bool:
            return len(bench.hook.once) >= bodies

        await bench.until(lambda: came(2), "the alert came to both channels")
    # Another process goes on where that one was, and tells nothing twice.
    async with bench.monitoring():
        learns(bench)
        await bench.until(lambda: came(4), "that it learns again came to both channels")
        stopped(bench)
        await bench.until(lambda: came(6), "that it stopped again came to both channels")
        # What is off has not stopped by itself, and does not go on.
        learns(bench, "off")
        learns(bench)
        stopped(bench, version="1.1.0")
        await bench.until(lambda: came(8), "what came last was told")
    told = await raised(bench)
    kinds = ["learning_stopped", "learning_resumed", "learning_stopped", "learning_stopped"]
    assert [alert.kind for alert in told] == kinds
    # What is under way to a channel at the same time comes in any order.
    assert sorted(b["text"] for b in bench.hook.once.values() if b["path"] == "/plain") == sorted(a.text for a in told)
    assert told[0].text == (
        "flights: flight-delay 1.0.0 stopped learning after step 7: its error is 1.8 times that of the version as it "
        "was registered"
    )
    assert told[1].text == "flights: flight-delay 1.0.0 learns again: bob set it to"
