"""Batches that are killed, rows that cannot be answered, what changed meanwhile: one row out for each row in."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import modelog
import msgspec
import polars as pl
import pytest
from batch_case import expected, ledger_in, model_in, output_in, ran, rows_of
from modelog.batch.sources import open_table
from modelog.training import StoredModel
from modelog_common.domain.errors import NotAllowed, NotFound

PATIENCE_S = 150.0
IN_A_PROCESS = """
import json, os, signal, sys, threading, time
import msgspec
from modelog.training import LocalRun, StoredModel, local_context
from modelog_training.batch.main import main
from pathlib import Path
model, params, least = json.loads(sys.argv[1])


def dies():
    while len(list(Path(params["output"]).glob("part-*"))) < least:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


threading.Thread(target=dies, daemon=True).start()
main(local_context(LocalRun(Path.cwd()), params, models=[msgspec.convert(model, StoredModel)]))
"""


def files_in(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def test_one_that_is_killed_again_and_again_makes_the_same_bytes(model: StoredModel, work: Path) -> None:
    rows_of(300).write_parquet("june.parquet")
    ran(model, "june.parquet", "whole", rows_at_once=1)
    params = {"source": "june.parquet", "output": "killed", "rows_at_once": 1}
    out = work / "killed"
    for least in (5, 40):
        # By itself: whoever looks from outside may look too late.
        told = json.dumps([msgspec.to_builtins(model), params, least])
        process = subprocess.run(
            [sys.executable, "-c", IN_A_PROCESS, told], stdout=subprocess.DEVNULL, timeout=PATIENCE_S, check=False
        )
        assert process.returncode == -signal.SIGKILL
    done = {part["number"] for part in ledger_in(out)["parts"]}
    assert not ledger_in(out)["complete"]
    assert 39 <= len(done) < 300
    before = {n: (out / f"part-{n:08d}.parquet").stat().st_mtime_ns for n in done}
    ran(model, "june.parquet", "killed", rows_at_once=1)
    assert files_in(out) == files_in(work / "whole")
    assert {n: (out / f"part-{n:08d}.parquet").stat().st_mtime_ns for n in done} == before
    assert output_in(out)["name"].to_list() == [f"r{n}" for n in range(300)]


def test_a_part_that_was_altered_is_made_again(model: StoredModel, work: Path) -> None:
    rows_of(30).write_parquet("june.parquet")
    ran(model, "june.parquet", "out", rows_at_once=10)
    before = files_in(work / "out")
    (work / "out" / "part-00000001.parquet").write_bytes(b"something else")
    run = ran(model, "june.parquet", "out", rows_at_once=10)
    assert files_in(work / "out") == before
    assert [point["value"] for point in run.points if point["name"] == "batch/rows"] == [20, 30]


def test_an_input_that_changed_is_refused_by_name(model: StoredModel, work: Path) -> None:
    rows_of(30).write_parquet("june.parquet")
    ran(model, "june.parquet", "out", rows_at_once=10)
    (work / "out" / "part-00000001.parquet").unlink()
    rows_of(31).write_parquet("june.parquet")
    with pytest.raises(modelog.Invalid, match="input: june.parquet is not what it was when the batch in out began"):
        ran(model, "june.parquet", "out", rows_at_once=10)
    assert not (work / "out" / "part-00000001.parquet").exists()
    with pytest.raises(modelog.Invalid, match=r"output: out is of a batch with another rows_at_once \(10, now 7\)"):
        rows_of(30).write_parquet("june.parquet")
        ran(model, "june.parquet", "out", rows_at_once=7)


def test_an_input_that_changes_under_way_is_refused_by_name(model: StoredModel, work: Path) -> None:

    rows_of(30).write_parquet("june.parquet")
    table = open_table("june.parquet", work, lambda *_: work)
    assert table.slice(20, 10).height == 10
    rows_of(29).write_parquet("june.parquet")
    with pytest.raises(modelog.Invalid, match=r"input: june\.parquet changed while it was read"):
        table.slice(20, 10)


def test_rows_that_cannot_be_answered_fail_or_are_left_without_an_answer(model: StoredModel, work: Path) -> None:
    rows = rows_of(20).with_columns(
        wind=pl.when(pl.col("name") == "r13").then(pl.lit("strong")).otherwise(pl.col("wind").cast(pl.String))
    )
    rows.write_csv("june.csv")
    with pytest.raises(modelog.Invalid, match=r"row 13, column 'wind': 'strong' is no number"):
        ran(model, "june.csv", "out", rows_at_once=5)
    ran(model, "june.csv", "null", rows_at_once=5, on_error="null")
    found = output_in(work / "null")
    assert found["name"].to_list() == rows["name"].to_list()
    assert found.filter(pl.col("prediction").is_null())["name"].to_list() == ["r13"]
    assert found.filter(pl.col("error").is_not_null())["error"].to_list() == ["column 'wind': 'strong' is no number"]
    right = pl.col("name") != "r13"
    wanted = expected(rows_of(20).filter(right))
    assert found.filter(right)["prediction"].to_numpy() == pytest.approx(wanted, abs=1e-6)
    assert [part.get("errors", 0) for part in ledger_in(work / "null")["parts"]] == [0, 0, 1, 0]


def test_rows_that_the_model_itself_refuses_are_found(tmp_path: Path, work: Path) -> None:
    def add(table: Any) -> Any:
        if (table["wind"] > 90).any():
            raise ValueError("no such wind")
        return table["hour"] + table["wind"]

    content = cloudpickle.dumps(add)
    rows = pl.DataFrame(
        {"hour": [float(n) for n in range(40)], "wind": [99.0 if n in (7, 31) else 1.0 for n in range(40)]}
    )
    rows.write_parquet("june.parquet")
    with pytest.raises(NotAllowed, match="approve"):
        ran(model_in(tmp_path / "files", content, "python_function"), "june.parquet", "out")
    function = model_in(tmp_path / "files", content, "python_function", approved=True)
    with pytest.raises(modelog.Invalid, match="rows 0 to 39: .*no such wind"):
        ran(function, "june.parquet", "out")
    ran(function, "june.parquet", "null", on_error="null")
    found = output_in(work / "null")
    assert [n for n, value in enumerate(found["prediction"]) if value is None] == [7, 31]
    assert found["prediction"].to_list()[8] == 9.0
    assert all("no such wind" in found["error"][n] for n in (7, 31))


def test_a_file_that_is_not_what_its_digest_says_is_not_loaded(model: StoredModel, work: Path) -> None:
    rows_of(3).write_parquet("june.parquet")
    model.path.write_bytes(model.path.read_bytes() + b" ")
    with pytest.raises(NotAllowed, match=f"SHA-256 is .*, not {model.digest}: the stored file was damaged or replaced"):
        ran(model, "june.parquet", "out")
    model.path.unlink()
    with pytest.raises(NotFound, match=model.digest):
        ran(model, "june.parquet", "out")


def test_without_runtimes_it_says_what_to_install(
    model: StoredModel, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_of(3).write_parquet("june.parquet")
    monkeypatch.setattr("modelog_training.batch.scorer.entry_points", lambda **_: ())
    with pytest.raises(ValueError, match=r"late 1\.0\.0 cannot be run: .* pip install 'modelog-serving\[runtimes\]'"):
        ran(model, "june.parquet", "out")
