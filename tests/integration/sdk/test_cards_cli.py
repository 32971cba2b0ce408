"""Model cards from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import modelog
from modelog.governance import CardParts
from modelog.types import Signature, TensorSpec
from typer.testing import Result

SIGNATURE = Signature(inputs=[TensorSpec(name="x", datatype="FP32")], outputs=[TensorSpec(name="y", datatype="FP32")])


def test_a_model_card(run_as: Callable[..., Result], alice: modelog.Client, tmp_path: Path) -> None:
    alice.models.create("carded", "Will it be late?")
    stored = alice.artifacts.upload_bytes(b"m", "model.ubj")
    alice.models.register("carded", stored, flavor="xgboost", signature=SIGNATURE, metrics={"auc": 0.7})
    first = alice.cards.get("carded", "1.0.0")
    assert "Not written yet: licenses" in run_as("bob", "model", "card", "carded", "1.0.0").output
    (tmp_path / "long.md").write_text("All *about* it")
    (tmp_path / "parts.json").write_text(json.dumps({"users": ["dispatchers"], "diff": "more data"}))
    page, text = tmp_path / "card.html", tmp_path / "card.md"
    run_as(
        "alice", "model", "card", "carded", "1.0.0", "--parts", tmp_path / "parts.json",
        "--set", "limitations=no snow", "--set", "limitations=no fog", "--set", f"documentation=@{tmp_path}/long.md",
        "--set", "licenses=MIT", "--set", "ethical_considerations=blame: a person decides",
        "--set", "owners=air team: air@example.com", "--html", page, "--markdown", text,
    )  # fmt: skip
    assert "All <em>about</em> it" in page.read_text()
    assert "no fog" in text.read_text()
    found = json.loads(run_as("bob", "model", "card", "carded", "1.0.0", "--json").output)
    assert found["missing"] == ["use_cases"]
    assert [x["description"] for x in found["card"]["considerations"]["limitations"]] == ["no snow", "no fog"]
    assert found["card"]["model_details"]["owners"] == [{"name": "air team", "contact": "air@example.com"}]
    then = json.loads(run_as("bob", "model", "card", "carded", "1.0.0", "--json", "--as-of", first.position).output)
    assert then == first.to_dict()
    alice.cards.edit("carded", "1.0.0", CardParts(), clear=["users"])
    assert "users" not in alice.cards.get("carded", "1.0.0").card["considerations"]
    assert alice.cards.rendered("carded", "1.0.0").digest == alice.cards.get("carded", "1.0.0").digest
    alice.models.register("carded", stored, flavor="xgboost", signature=SIGNATURE, metrics={"auc": 0.8})
    run_as("alice", "model", "card", "carded", "1.1.0", "--from", "last", "--set", "diff=a year more")
    newer = alice.cards.get("carded", "1.1.0")
    assert (newer.taken_from, newer.missing) == ("1.0.0", ["use_cases"])
    assert (newer.parts.limitations, newer.parts.diff) == (["no snow", "no fog"], "a year more")
    told = run_as("alice", "model", "bom", "carded", "1.0.0").output
    assert json.loads(told)["bomFormat"] == "CycloneDX"
    assert "is in" in run_as("alice", "model", "bom", "carded", "1.0.0", "--out", tmp_path / "bom.json").output
    assert (tmp_path / "bom.json").read_text() == told
    for wrong, said in (
        (("--set", "limitations"), "must look like part=text"),
        (("--set", "colour=red"), "'colour' is no part of a card"),
        (("--set", "overview=@/nowhere"), "/nowhere cannot be read"),
        (("--parts", "/nowhere.json"), "/nowhere.json"),
        (("--clear", "colour"), "is no part of a card"),
        (("--from", "1.0.0"), "from_version: is 1.0.0, whose card it is"),
        (("--set", "references=javascript:x"), "is no address"),
    ):
        assert said in run_as("alice", "model", "card", "carded", "1.0.0", *wrong, status=1).stderr
