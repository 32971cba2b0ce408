"""Webhooks from the command line, with what the SDK does beneath."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import modelog
import pytest
from modelog.types import Signature, TensorSpec
from small_platform import SmallPlatform
from typer.testing import Result
from webhook_receiver import receiving

PATIENCE_S = 150
SIGNATURE = Signature(inputs=[TensorSpec(name="x", datatype="FP32")], outputs=[TensorSpec(name="y", datatype="FP32")])
came: queue.Queue[tuple[str, str]] = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    """Takes everything but what is sent to /gone, which is wanted no more."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(410 if self.path == "/gone" else 200)
        self.end_headers()
        self.wfile.write(b"thank you")
        told = json.loads(body)
        came.put((f"{told['entity']}.{told['action']}", self.headers["X-MLflow-Delivery-Id"]))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallPlatform]:
    """It may send to this machine."""
    small = SmallPlatform(tmp_path_factory.mktemp("platform"), webhook_networks="127.0.0.0/8")
    small.start()
    yield small
    small.stop()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with receiving(Receiver) as address:
        yield address


def until(found: Callable[[], Any], what: str) -> Any:
    """Ask until the answer is not empty."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := found()):
        assert time.monotonic() < deadline, f"{what} did not come about in {PATIENCE_S} s"
        time.sleep(0.1)
    return answer


def test_webhooks(run_as: Callable[..., Result], admin: modelog.Client, address: str, tmp_path: Path) -> None:
    made = run_as(
        "alice", "webhook", "create", "ci", f"{address}/ok", "--event", "registered_model.created",
        "--event", "run.failed", "--secret", "hush", "--json",
    )  # fmt: skip
    [hook] = json.loads(made.output)
    assert (hook["has_secret"], hook["active"]) == (True, True)
    assert "hush" not in made.output
    assert hook["id"] in run_as("alice", "webhook", "list").output
    assert address in run_as("alice", "webhook", "show", hook["id"]).output
    assert "It answered 200" in run_as("alice", "webhook", "test", hook["id"], "--event", "run.failed").output
    assert came.get(timeout=PATIENCE_S)[0] == "run.failed"

    position = admin.models.create("told").position
    kind, delivery = came.get(timeout=PATIENCE_S)
    assert kind == "registered_model.created"
    until(lambda: admin.webhooks.deliveries(hook["id"], state="delivered"), "the delivery")
    assert "delivered" in run_as("alice", "webhook", "deliveries", "--webhook", hook["id"]).output
    assert "is sent again" in run_as("alice", "webhook", "replay", delivery).output
    assert came.get(timeout=PATIENCE_S) == (kind, delivery)
    ranged = ("--webhook", hook["id"], "--first", position, "--last", position)
    assert "are delivered to it" in run_as("alice", "webhook", "replay", *ranged).output
    assert came.get(timeout=PATIENCE_S) == (kind, delivery)
    assert "name deliveries, or give --webhook" in run_as("alice", "webhook", "replay", status=1).stderr

    run_as("alice", "webhook", "update", hook["id"], "--url", f"{address}/gone", "--name", "ci-2")
    assert "it answered 410" in run_as("alice", "webhook", "test", hook["id"], status=1).stderr
    came.get(timeout=PATIENCE_S)
    admin.models.create("not told")
    came.get(timeout=PATIENCE_S)
    [dead] = until(lambda: admin.webhooks.deliveries(state="dead"), "the dead delivery")
    assert "answered 410: thank you" in run_as("alice", "webhook", "dead").output
    shown = run_as("alice", "webhook", "dead", dead.id).output
    assert "not told" in shown
    assert "410" in shown
    assert "disabled" in run_as("alice", "webhook", "update", hook["id"], "--disable").output
    then = json.loads(run_as("alice", "webhook", "list", "--as-of", hook["position"], "--json").output)
    assert [w["name"] for w in then] == ["ci"]
    assert "Deleted at position" in run_as("alice", "webhook", "delete", hook["id"]).output
    assert "no webhooks" in run_as("alice", "webhook", "list").output
    assert "there is no webhook" in run_as("alice", "webhook", "show", hook["id"], status=1).stderr


def test_a_change_request_is_told_of(admin: modelog.Client, platform: SmallPlatform, address: str) -> None:
    events = [f"model_version_promotion.{word}" for word in ("requested", "approved", "refused")]
    hook = admin.webhooks.create("changes", f"{address}/ok", events)
    with platform.client("alice") as alice, platform.client("bob") as bob:
        alice.models.create("asked")
        stored = alice.artifacts.upload_bytes(b"m", "model.ubj")
        alice.models.register("asked", stored, flavor="xgboost", signature=SIGNATURE, metrics={"auc": 0.7})
        alice.changes.open("asked", "1.0.0", "staging", "Try it", risk="low", risk_reasons=["nobody sees it"])
        bob.changes.approve("asked", 1, "good")
        bob.changes.reject("asked", 1, "on second thought")
    assert sorted(came.get(timeout=PATIENCE_S)[0] for _ in events) == sorted(events)
    told = until(lambda: _all_delivered(admin, hook.id, len(events)), "all deliveries")
    bodies = [json.loads(admin.webhooks.delivery(d.id).body)["data"] for d in reversed(told)]
    same = {"name": "asked", "version": "1", "semantic_version": "1.0.0", "change": 1, "to_stage": "staging"}
    assert bodies[0] == {**same, "by": "alice", "risk": "low", "comment": ""}
    assert bodies[1:] == [
        {**same, "by": "bob", "comment": "good"},
        {**same, "by": "bob", "comment": "on second thought"},
    ]
    admin.webhooks.delete(hook.id)


def _all_delivered(client: modelog.Client, webhook_id: str, count: int) -> Any:
    found = client.webhooks.deliveries(webhook_id, state="delivered")
    return found if len(found) == count else []
