"""Who takes part in the story, and what they carry from step to step."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from modelog import Client
from modelog.types import DatasetVersion, Job, ModelVersion, Retraining, Window
from rich.console import Console

from flights.story.listener import AlertListener

MODEL = "flight-delay"
DATASET = "flights"
SOURCE = Path(__file__).parents[2]
MONTHS = (
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def label_of(month: int) -> str:
    """How a month's dataset version is called, such as "2013-03"."""
    return f"2013-{month:02d}"


@dataclass
class Loading:
    """The year's flights, read in the background while the platform starts."""

    frame: pl.DataFrame = field(default_factory=pl.DataFrame)
    error: BaseException | None = None
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._load, name="flights", daemon=True)
        self.thread.start()

    def _load(self) -> None:
        from flights.data import read_tables
        from flights.features import build

        try:
            self.frame = build(read_tables())
        except BaseException as error:
            self.error = error

    def result(self) -> pl.DataFrame:
        """Wait for it."""
        if self.thread is not None:
            self.thread.join()
        if self.error is not None:
            raise self.error
        return self.frame


@dataclass
class Story:
    """What the steps share."""

    console: Console
    data_dir: Path
    web_port: int
    profile: str
    endpoints: dict[str, str] = field(default_factory=dict)
    admin: Client = field(default=None)  # type: ignore[assignment]
    alice: Client = field(default=None)  # type: ignore[assignment]
    bob: Client = field(default=None)  # type: ignore[assignment]
    frame: pl.DataFrame = field(default_factory=pl.DataFrame)
    listener: AlertListener = field(default=None)  # type: ignore[assignment]
    versions: dict[int, DatasetVersion] = field(default_factory=dict)
    job: Job = field(default_factory=Job)
    first: ModelVersion = field(default_factory=ModelVersion)
    before_first_promotion: int = 0
    windows: list[Window] = field(default_factory=list)
    retrainings: list[Retraining] = field(default_factory=list)
    reviews: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def month(self, month: int) -> pl.DataFrame:
        """The flights whose prediction is due in a month (event time, UTC)."""
        due = pl.col("event_time").dt
        return self.frame.filter((due.year() == 2013) & (due.month() == month))

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False)

    def step(self, number: int, title: str) -> None:
        self.console.print(f"\n[bold]{number}. {title}[/]", highlight=False)
