"""Step 9: the year looked back on: quality, the way back of one prediction, the past, and the proof of the log."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import xgboost as xgb
from modelog.cli.lineage import origins, tree_of
from modelog.types import Graph
from modelog_proofs import verify_store

from flights.compare import auc
from flights.features import FEATURES
from flights.story.cast import MODEL, Story
from flights.story.report import write_report
from flights.story.step4_approve import StoryWentWrong


def tell(story: Story, report: Path) -> None:
    story.step(9, "Look back, and prove it")
    frozen = without_retraining(story)
    graph = way_back(story)
    the_past(story)
    prove(story)
    write_report(report, story, frozen, graph)


def without_retraining(story: Story) -> dict[int, float]:
    """AUC by month of the first version, had it stayed: its file, scored here on every month's flights."""
    with tempfile.TemporaryDirectory() as folder:
        file = story.alice.models.download(MODEL, story.first.version, Path(folder))
        booster = xgb.Booster(model_file=str(file))
    found: dict[int, float] = {}
    for window in story.windows:
        month = window.start.month if window.start else 0
        rows = story.month(month).filter(pl.col("label").is_not_null())
        scores = booster.inplace_predict(rows.select(FEATURES).to_numpy())
        found[month] = auc(rows["label"].to_numpy(), np.asarray(scores)).value
    return found


def way_back(story: Story) -> Graph:
    """From the last prediction of the year to everything that led to it, from the graph."""
    last = story.frame.filter(pl.col("label").is_not_null()).sort("event_time")["prediction_id"][-1]
    graph = story.alice.lineage.prediction(MODEL, last)
    kinds = {node.kind for node in graph.nodes}
    missing = {"Prediction", "ModelVersion", "Run", "DatasetVersion", "Approval"} - kinds
    if missing:
        raise StoryWentWrong(f"the way back of {last} lacks {', '.join(sorted(missing))}")
    root = next(node.id for node in graph.nodes if node.kind == "Prediction")
    made_by = origins(graph, root)
    story.console.print(tree_of(made_by, root))
    story.facts["prediction"] = last
    return made_by


def the_past(story: Story) -> None:
    """The registry as it was before the first promotion to production."""
    position = str(story.before_first_promotion)
    then = story.alice.models.get(MODEL, as_of=position)
    stages = ", ".join(f"{v.version} {v.stage.removeprefix('STAGE_').lower()}" for v in then.versions)
    now = ", ".join(
        f"{v.version} {v.stage.removeprefix('STAGE_').lower()}" for v in story.alice.models.get(MODEL).versions
    )
    story.facts["then"], story.facts["now"] = stages, now
    story.say(f"the registry at position {position}: {stages}")
    story.say(f"the registry now: {now}")


def prove(story: Story) -> None:
    """The log is intact; a copy with one flipped bit is not, and the place is named."""
    report = story.alice.audit.verify()
    if not report.intact:
        raise StoryWentWrong(f"the log is not intact: {report.findings}")
    checkpoint = story.alice.audit.checkpoint()
    story.say(f"{report.events:,} events hash to the signed root {report.root[:16]}...: intact")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "events.db"
        copy_log(copy)
        honest = verify_store(copy, checkpoint.note, checkpoint.public_key)
        position = flip_one_bit(copy)
        altered = verify_store(copy, checkpoint.note, checkpoint.public_key)
    if not honest.ok or altered.ok:
        raise StoryWentWrong("the proof does not tell an altered copy from an honest one")
    story.facts["events"], story.facts["flipped"] = report.events, position
    story.say(f"one bit flipped in a copy, in the event at position {position}: [bold red]{altered.failures[0]}[/]")


def copy_log(target: Path) -> None:
    """The platform's log, whatever it is kept in, as a store in one file."""
    lines = target.with_suffix(".jsonl")
    for words in (["export", str(lines)], ["import", str(lines), "--store", f"sqlite:///{target}"]):
        subprocess.run([sys.executable, "-m", "modelog.cli.main", "events", *words], check=True, capture_output=True)


def flip_one_bit(store: Path) -> int:
    """Flip one bit in the payload of an event in the middle; returns its position."""
    with sqlite3.connect(store) as db:
        (position,) = db.execute("SELECT max(position) / 2 FROM events").fetchone()
        (payload,) = db.execute("SELECT payload FROM events WHERE position = ?", (position,)).fetchone()
        altered = bytearray(payload)
        altered[len(altered) // 2] ^= 1
        db.execute("UPDATE events SET payload = ? WHERE position = ?", (bytes(altered), position))
    db.close()
    return int(position)
