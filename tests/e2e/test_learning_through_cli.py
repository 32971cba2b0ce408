"""A deployment that learns, by the command line: it is told to, learns from outcomes, and what it became is proven."""

from __future__ import annotations

import json
from pathlib import Path

from learning_river import ROWS, deployed, lived
from modelog.inference import predict
from modelog_proofs.prediction_proof import canonical
from running_platform import RunningPlatform, until

NAME = "season"


def test_a_deployment_learns_and_its_answers_are_proven(platform: RunningPlatform, tmp_path: Path) -> None:
    with platform.person("learn-alice", "developer") as alice, platform.person("learn-bob", "reviewer") as bob:
        deployed(alice, bob, NAME, tmp_path)
        assert "was never set to learn" in platform.cli("deploy", "learning", NAME, exit_status=1).stderr
        assert "needs --on" in platform.cli("deploy", "learning", NAME, "--step-labels", "5", exit_status=1).stderr
        set_to = ("deploy", "learning", NAME, "--on", "--step-labels", "100", "--step-s", "3600", "-m", "summer")
        assert "of 100 labels, or after 3600 s" in platform.cli(*set_to).stdout
        before = platform.json("deploy", "learning", NAME)["learning"]["position"]
        lived(alice, NAME, range(300))
        found = until(
            "three steps were taken",
            lambda: len((told := platform.json("deploy", "learning", NAME))["steps"]) == 3 and told,
        )
        steps = found["steps"]
        assert [step["labels"] for step in steps] == [100, 100, 100]
        assert steps[-1]["error"] < 0.3 < steps[-1]["registered_error"]
        shown = platform.cli("deploy", "learning", NAME).stdout
        assert "300 labels in 3 steps" in shown
        assert steps[-1]["digest_after"][:12] in shown
        assert platform.json("deploy", "learning", NAME, "--as-of", str(before))["steps"] == []
        assert "the same" in platform.cli("deploy", "learning", NAME, "--replay", "2").stdout
        (asked,) = predict(alice, NAME, [dict(zip("abc", ROWS[399].tolist(), strict=True))])["prediction_ids"]

    key, proof = tmp_path / "audit.pub", tmp_path / "proof.json"
    platform.cli("audit", "checkpoint", "--key-out", str(key))
    until(
        "the answer is sealed",
        lambda: platform.cli("prove", asked, "--out", str(proof), exit_status=None).returncode == 0,
    )
    told = platform.cli("verify", str(proof), "--key", str(key)).stdout
    assert steps[-1]["digest_after"][:12] in told
    # With a step less the chain does not lead from the version's file to what answered.
    document = json.loads(proof.read_text())
    assert len(document["steps"]) == 3
    for missing in range(3):
        cut = document | {"steps": [step for n, step in enumerate(document["steps"]) if n != missing]}
        proof.write_text(canonical(cut))
        refused = platform.cli("verify", str(proof), "--key", str(key), exit_status=1).stderr
        assert "step" in refused
    assert "off" in platform.cli("deploy", "learning", NAME, "--off").stdout
