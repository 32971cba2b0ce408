"""Change requests from the command line, with what the SDK does beneath."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import modelog
from modelog.types import Signature, TensorSpec
from typer.testing import Result

SIGNATURE = Signature(inputs=[TensorSpec(name="x", datatype="FP32")], outputs=[TensorSpec(name="y", datatype="FP32")])


def test_a_change_request(run_as: Callable[..., Result], alice: modelog.Client, tmp_path: Path) -> None:
    alice.models.create("asked")
    stored = alice.artifacts.upload_bytes(b"m", "model.ubj")
    for _ in range(2):
        alice.models.register("asked", stored, flavor="xgboost", signature=SIGNATURE, metrics={"auc": 0.7})
    report = tmp_path / "report.html"
    report.write_text("<p>fine</p>")
    opened = run_as(
        "alice", "change", "open", "asked", "1.0.0", "staging", "--title", "Try it", "--risk", "low",
        "--because", "nobody sees it", "--reviewer", "bob", "--ask", "carol", "--file", f"validation_report={report}",
        "--compare", "asked/1.0.0", "--compare", "asked/1.1.0",
    )  # fmt: skip
    assert "Change request 1 of asked is open" in opened.output
    assert "carol" in run_as("alice", "change", "show", "asked", 1).output
    assert "needs the approval of bob" in run_as("alice", "change", "show", "asked", 1).output
    assert "dave asked" in run_as("alice", "change", "ask", "asked", 1, "dave").output
    run_as("carol", "change", "comment", "asked", 1, "why now?")
    run_as("carol", "change", "ask-for-changes", "asked", 1, "-m", "more data")
    assert "is open" in run_as("bob", "change", "approve", "asked", 1, "-m", "good", "--seen", 1).output
    refused = run_as("alice", "change", "apply", "asked", 1, status=1).stderr
    assert "carol asks for changes of change request 1 of asked (more data)" in refused
    report.write_text("<p>better</p>")
    run_as("alice", "change", "attach", "asked", 1, "--file", f"validation_report={report}")
    assert "approved by bob (stale): good" in run_as("bob", "change", "show", "asked", 1).output
    run_as("bob", "change", "approve", "asked", 1, "-m", "still good")
    assert "is approved" in run_as("carol", "change", "approve", "asked", 1, "-m", "now").output
    assert "asked 1.0.0 is in staging" in run_as("alice", "change", "apply", "asked", 1).output
    again = run_as("bob", "change", "apply", "asked", 1, status=1).stderr
    assert "change request 1 of asked was applied by alice at 20" in again
    assert "change request 1: approved" in run_as("bob", "model", "history", "asked").output

    listed = json.loads(run_as("bob", "change", "list", "asked", "--state", "applied", "--json").output)
    assert [(c["number"], c["approved_by"]) for c in listed] == [(1, ["bob", "carol"])]
    assert "Try it" in run_as("bob", "change", "list", "asked").output
    open_then = json.loads(
        run_as("bob", "change", "list", "asked", "--as-of", listed[0]["position"] - 1, "--json").output
    )
    assert [c["state"] for c in open_then] == ["CHANGE_STATE_APPROVED"]

    for verb, word in (("withdraw", "withdrawn"), ("reject", "rejected")):
        run_as(
            "alice", "change", "open", "asked", "1.1.0", "staging", "--title", "x", "--risk", "high",
            "--because", "untried",
        )  # fmt: skip
        number = alice.changes.list("asked")[0].number
        person = "alice" if verb == "withdraw" else "bob"
        assert f"is {word}" in run_as(person, "change", verb, "asked", number, "-m", "no").output
    assert {c.state for c in alice.changes.list("asked", version="1.1.0")} == {
        "CHANGE_STATE_WITHDRAWN",
        "CHANGE_STATE_REJECTED",
    }
