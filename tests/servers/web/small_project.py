"""A small project on a platform: experiments with curves, nested runs and files, models in stages, hostile names."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import modelog
from modelog.governance import CardParts
from modelog.types import Environment
from toy_model import SIGNATURE, fitted, toy_rows

MARKUP = "<img src=x onerror=\"document.body.dataset.hacked='1'\">"
RIGHT_TO_LEFT = "שלום \u202eevil\u202c عالم 🛫🌍"
LONG = "long-" * 100  # 500 characters
EXPERIMENT = "flight-delay"
MODEL = "delay-model"
STEPS = 40


@dataclass
class SmallProject:
    """Ids and positions of what was made."""

    experiment: str
    other: str
    runs: list[str]
    parent: str
    hostile: str
    model: str
    markup_model: str
    staging: int
    production: int


def small_project(alice: modelog.Client, bob: modelog.Client, folder: Path) -> SmallProject:
    data = alice.datasets.register("flights", toy_rows(), label="2013-01")
    experiment = alice.runs.experiment(EXPERIMENT, "Will a flight arrive late?")
    other = alice.runs.experiment(MARKUP)
    plot = picture(folder / "importance.png")
    notes = folder / "notes.txt"
    notes.write_text("learned <b>nothing</b> new\n" * 5)
    read = [modelog.types.RunDataset(dataset="flights", version=data.version, digest=data.digest)]
    runs = []
    for n in range(6):
        run = alice.runs.start(
            EXPERIMENT,
            f"depth-{4 + n % 3}-seed-{n // 3}",
            parameters={"depth": 4 + n % 3, "rate": 0.1 * (1 + n // 3), "booster": "gbtree" if n % 2 else "dart"},
            datasets=read,
            environment=environment(n),
            tags={"team": "air", "seed": str(n // 3)},
        )  # fmt: skip
        alice.runs.log_metrics(run.id, curves(n))
        if n == 0:
            alice.runs.log(run.id, files=[plot, notes, fitted(folder)])
            alice.runs.tag(run.id, {"mlflow.note.content": "the first of all"})
        runs.append(alice.runs.end(run.id, "failed" if n == 5 else "completed", "out of memory" if n == 5 else "").id)
    parent = alice.runs.start(EXPERIMENT, "a study")
    post = alice.runs._transport.post
    post("/api/v1/runs", modelog.types.Run, {"experiment": EXPERIMENT, "name": "within", "parent_run_id": parent.id})
    hostile = alice.runs.start(
        MARKUP, RIGHT_TO_LEFT, parameters={MARKUP: MARKUP, "long": LONG, "rtl": RIGHT_TO_LEFT}, tags={MARKUP: LONG}
    )
    alice.runs.log_metrics(hostile.id, {MARKUP: [1.0, float("nan"), float("inf"), 0.5], RIGHT_TO_LEFT: [0.1, 0.2]})
    alice.runs.log(hostile.id, files=[named(folder, "page.html", MARKUP)])

    artifact = alice.artifacts.upload(fitted(folder))
    alice.models.create(MODEL, "Says whether a flight will be late.", tags={"team": "air"})
    versions = [
        alice.models.register(
            MODEL, artifact, flavor="xgboost", signature=SIGNATURE, run_id=run, datasets=[data.ref],
            metrics={"auc": 0.7 + 0.01 * n}, hyperparameters={"depth": 4 + n},
        ).version
        for n, run in enumerate(runs[:3])
    ]  # fmt: skip
    bob.models.approve(MODEL, versions[0], "held against June's flights")
    alice.models.promote(MODEL, versions[0], "staging")
    staging = alice.audit.head()
    alice.models.promote(MODEL, versions[0], "production", reason="better than nothing")
    production = alice.audit.head()
    alice.models.set_alias(MODEL, "champion", versions[0])
    bob.models.reject(MODEL, versions[2], f"leaks the label {MARKUP}")
    asked = alice.changes.open(
        MODEL, versions[1], "staging", f"As good {MARKUP}", risk="low", risk_reasons=["new data"]
    )
    alice.changes.comment(MODEL, asked.number, f"please look {RIGHT_TO_LEFT}")
    alice.cards.edit(MODEL, versions[0], CardParts(overview=f"Late or not {MARKUP}", limitations=["only New York"]))
    markup_model = "<img src=x onerror=alert(1)>"
    alice.models.create(markup_model, RIGHT_TO_LEFT)
    alice.models.register(markup_model, artifact, flavor="xgboost", signature=SIGNATURE, tags={MARKUP: LONG[:200]})
    alice.models.create("עברית 🛫")
    alice.deployments.create("late-flights", MODEL, versions[0])
    benchmarked(alice, versions[1])
    alice.ab_tests.create("newer", "late-flights", versions[0], versions[1], min_effect=0.01, baseline=0.2)
    return SmallProject(
        experiment.id, other.id, runs, parent.id, hostile.id, MODEL, markup_model, staging, production
    )  # fmt: skip


def benchmarked(alice: modelog.Client, version: str) -> None:
    """What a benchmark leaves: a run whose tags say of what."""
    alice.runs.experiment("benchmarks")
    tags = {"benchmark.model": MODEL, "benchmark.version": version, "benchmark.dataset": "flights:1"}
    run = alice.runs.start("benchmarks", tags=tags)
    figures = {"auc": 0.73, "auc_lower": 0.71, "auc_upper": 0.75, "latency_p50_ms/1": 0.12, "latency_p50_ms/256": 0.9}
    alice.runs.log(run.id, metrics=figures)
    alice.runs.end(run.id)


def environment(n: int) -> Environment:
    packages = {"xgboost": f"3.{n % 2}.0", "numpy": "2.4"}
    return Environment(python="3.11.9", platform="linux", packages=packages, git_commit="0123abcd" * 5)


def curves(n: int) -> dict[str, list[float]]:
    """A loss that falls, an AUC that rises, and a rate that starts at nothing."""
    wave = [math.sin(step * 1.7 + n) * 0.02 for step in range(STEPS)]
    return {
        "loss": [0.7 * math.exp(-step / (10 + n)) + 0.1 + wave[step] for step in range(STEPS)],
        "auc": [0.74 + 0.01 * n - 0.2 * math.exp(-step / 8) + wave[step] / 2 for step in range(STEPS)],
        "lr": [0.01 * step / STEPS for step in range(STEPS)],
    }


def picture(file: Path) -> Path:
    """A PNG of one colour, 64 by 32 (RFC 2083)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\x24\x57\xc5" * 64 for _ in range(32))
    header = struct.pack(">IIBBBBB", 64, 32, 8, 2, 0, 0, 0)
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return file


def named(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file
