"""Measures the flights model: quality by month, the release story under a policy, and what training costs.

    python examples/flights/measure.py [--threads N]     # three minutes on one core
    python examples/flights/measure.py --robust          # the story again, varied; half an hour

Everything is decided on what was known at the time: a month is looked at when its last flight has landed, a
challenger is trained on the labels known then, and "fresh" flights are those whose event time comes after.
"""

import argparse
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from flights.compare import Estimate, auc, auc_gain, auc_gain_by_group, log_loss, log_loss_gain
from flights.data import read_tables
from flights.features import FEATURES, build
from flights.train import Fitted, Settings, boost, fit, labels_of, score

LAST_MONTH = 12
CANARY_SHARE = 10
LATENESS = timedelta(hours=36)


@dataclass(frozen=True)
class Policy:
    """When a challenger is trained, and how many fresh labelled flights decide.

    drift, drifted: at least so many features whose distribution moved by at least so much (Kolmogorov-Smirnov's
    distance from the champion's held-out flights). auc_loss: how far the window's AUC must lie below the champion's
    held-out AUC, which must also lie above the window's 95 % interval. label_growth: how many more labelled flights
    than the last challenger saw, as a share. shadow_flights: both models score them, the champion answers.
    canary_flights: both score them, the challenger answers one in ten. canary_margin: how much worse the canary's AUC
    may be at the low end of its interval, if it is better on the whole.
    """

    drift: float = 0.1
    drifted: int = 3
    auc_loss: float = 0.01
    label_growth: float = 0.5
    shadow_flights: int = 25_000
    canary_flights: int = 25_000
    canary_margin: float = 0.01


def begin_of(month: int) -> datetime:
    """When a month of 2013 begins; month 13 is the next January."""
    return datetime(2013 + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC)


class Year:
    """The year's labelled flights, and the models fitted on its first months under one setting.

    Trees depend a little on the order of the rows; a `row_order` is a seed that shuffles them.
    """

    def __init__(self, flights: pl.DataFrame, settings: Settings, row_order: int | None = None) -> None:
        self.flights = flights.filter(pl.col("label").is_not_null())
        self.settings = settings
        self._row_order = row_order
        self._fitted: dict[int, Fitted] = {}

    def month(self, month: int) -> pl.DataFrame:
        return self.flights.filter(self._due(month) & ~self._due(month + 1))

    def upto(self, month: int) -> pl.DataFrame:
        return self.flights.filter(~self._due(month + 1))

    def after(self, moment: datetime) -> pl.DataFrame:
        return self.flights.filter(pl.col("event_time") >= moment)

    @staticmethod
    def _due(month: int) -> pl.Expr:
        return pl.col("event_time") >= begin_of(month)

    def fitted(self, month: int) -> Fitted:
        """The model of the months up to `month`, fitted once."""
        if month not in self._fitted:
            rows = self.upto(month)
            if self._row_order is not None:
                rows = rows.sample(fraction=1, shuffle=True, seed=self._row_order)
            self._fitted[month] = fit(rows, self.settings)
        return self._fitted[month]


def by_month(year: Year) -> Iterator[str]:
    """Frozen on January and February, against retrained every month on all months so far."""
    yield "month  rows    late  | AUC frozen  expanding | log loss frozen  expanding"
    frozen = year.fitted(2).booster
    for month in range(3, LAST_MONTH + 1):
        window = year.month(month)
        truth, old, new = (
            labels_of(window),
            score(frozen, window),
            score(year.fitted(month - 1).booster, window),
        )
        yield (
            f"{month:5} {window.height:6} {truth.mean():6.1%}"
            f" | {auc(truth, old).value:10.3f} {auc(truth, new).value:10.3f}"
            f" | {log_loss(truth, old):15.4f} {log_loss(truth, new):10.4f}"
        )


def story(year: Year, policy: Policy) -> Iterator[str]:
    """What happens from March on, one line per look at a month and per meeting."""
    champion, version, seen = year.fitted(2), 0, year.upto(2).height
    busy_until = begin_of(1)
    yield f"1.0.0 of months 1-2 ({seen} flights): held-out AUC {champion.metrics['held_out_auc']:.3f}"
    for month in range(3, LAST_MONTH):
        window, known = year.month(month), year.upto(month).height
        live, reference = auc(labels_of(window), score(champion.booster, window)), champion.metrics["held_out_auc"]
        growth, moved = known / seen - 1, drifted(champion.reference, window, policy.drift)
        look = (
            f"month {month:2}: 1.{version}.0 has AUC {live.value:.3f} [{live.low:.3f}, {live.high:.3f}],"
            f" held-out {reference:.3f}, {len(moved)} features drifted, {growth:+.0%} labels"
        )
        lost = reference - live.value > policy.auc_loss and live.high < reference
        refusals = {
            "no drift": len(moved) < policy.drifted,
            "no loss": not lost,
            "a challenger is under way": begin_of(month + 1) + LATENESS < busy_until,
            "too few new labels": growth < policy.label_growth,
        }
        if any(refusals.values()):
            yield f"{look}: {', '.join(reason for reason, holds in refusals.items() if holds)}"
            continue
        yield f"{look}: a challenger is trained on months 1-{month} ({known} flights)"
        seen, challenger = known, year.fitted(month)
        shadow = meet(champion, challenger, year.after(begin_of(month + 1)).head(policy.shadow_flights))
        yield f"    shadow: {shadow.text}: {'wins' if shadow.superior else 'refused'}"
        busy_until, won = shadow.decided_at, shadow.superior
        if won:
            rest = year.after(busy_until).head(policy.canary_flights)
            canary = meet(champion, challenger, rest)
            busy_until, won = canary.decided_at, canary.not_worse(policy.canary_margin)
            yield f"    canary: {canary.text}: {'wins' if won else 'refused'}"
            yield f"        the tenth that it answered: {meet(champion, challenger, tenth(rest)).text}"
        if won:
            champion, version = challenger, version + 1
            yield f"    promoted as 1.{version}.0: held-out AUC {champion.metrics['held_out_auc']:.3f}"


@dataclass(frozen=True)
class Meeting:
    """Challenger against champion on the same flights; `by_day` lets a day's flights go right or wrong together."""

    flights: int
    gain: Estimate
    by_day: Estimate
    loss: Estimate
    decided_at: datetime

    @property
    def superior(self) -> bool:
        """It ranks better beyond chance, and its log loss is not worse beyond chance."""
        return self.gain.low > 0 and self.loss.low <= 0

    def not_worse(self, margin: float) -> bool:
        return self.gain.low > 0 or (self.gain.value > 0 and self.gain.low > -margin)

    @property
    def text(self) -> str:
        gain, by_day, loss = self.gain, self.by_day, self.loss
        return (
            f"{self.flights} flights, by {self.decided_at:%d %b}: AUC {gain.value:+.4f} [{gain.low:+.4f},"
            f" {gain.high:+.4f}] (by day [{by_day.low:+.4f}, {by_day.high:+.4f}]),"
            f" log loss {loss.value:+.4f} [{loss.low:+.4f}, {loss.high:+.4f}]"
        )


def meet(champion: Fitted, challenger: Fitted, flights: pl.DataFrame) -> Meeting:
    """Scores the flights with both and compares in pairs."""
    truth, before, after = labels_of(flights), score(champion.booster, flights), score(challenger.booster, flights)
    days = flights["event_time"].dt.ordinal_day().to_numpy()
    last: datetime = flights["event_time"][-1]
    return Meeting(
        flights=flights.height,
        gain=auc_gain(truth, before, after),
        by_day=auc_gain_by_group(truth, before, after, days),
        loss=log_loss_gain(truth, before, after),
        decided_at=last + LATENESS,
    )


def tenth(flights: pl.DataFrame) -> pl.DataFrame:
    """The flights of a sticky tenth, by a checksum of their id."""
    return flights.filter(
        pl.Series([zlib.crc32(b"canary" + name.encode()) % CANARY_SHARE == 0 for name in flights["prediction_id"]])
    )


def drifted(reference: pl.DataFrame, window: pl.DataFrame, least: float) -> list[str]:
    """The features whose known values lie at least that Kolmogorov-Smirnov distance from the reference."""
    found = []
    for name in FEATURES:
        old, new = (np.sort(rows[name].drop_nulls().to_numpy()) for rows in (reference, window))
        at = np.concatenate([old, new])
        apart = np.searchsorted(old, at, "right") / len(old) - np.searchsorted(new, at, "right") / len(new)
        if np.abs(apart).max() >= least:
            found.append(name)
    return found


def costs(year: Year, threads: tuple[int, ...]) -> Iterator[str]:
    """Seconds to fit one model (no held-out twin), by months and threads."""
    for month in (2, 3, 5, 8):
        rows, parts, models = year.upto(month), [], set()
        for count in threads:
            start = time.perf_counter()
            booster = boost(rows, replace(year.settings, threads=count))
            parts.append(f"{time.perf_counter() - start:.2f} s at {count}")
            models.add(score(booster, year.flights).tobytes())
        same = "the same scores" if len(models) == 1 else "other scores"
        yield f"months 1-{month}, {rows.height} rows: {', '.join(parts)} threads; {same}"


def robust(flights: pl.DataFrame, base: Settings) -> Iterator[str]:
    """The story's outcome under other sample sizes, row orders and settings, one line each."""
    year = Year(flights, base)
    for shadow in range(16_000, 29_000, 1_000):
        for canary in (15_000, 20_000, 25_000, 28_000):
            told = story(year, Policy(shadow_flights=shadow, canary_flights=canary))
            yield f"{shadow} + {canary}: {outcome(told)}"
    yield f"no label_growth, 28000 + 28000: {outcome(story(year, Policy(0.1, 3, 0.01, 0.0, 28_000, 28_000)))}"
    for seed in range(6):
        yield f"row order {seed}: {outcome(story(Year(flights, base, seed), Policy()))}"
    for change, changed in {
        "200 trees": replace(base, rounds=200),
        "400 trees": replace(base, rounds=400),
        "depth 5": replace(base, max_depth=5),
        "depth 7": replace(base, max_depth=7),
        "rate 0.05": replace(base, learning_rate=0.05),
        "rate 0.10": replace(base, learning_rate=0.1),
    }.items():
        yield f"{change}: {outcome(story(Year(flights, changed), Policy()))}"


def outcome(lines: Iterator[str]) -> str:
    """A story in a few words: months of challengers, and what came of each."""
    words = []
    for line in lines:
        if "a challenger is trained" in line:
            words.append(line.split(":")[0])
        elif line.startswith(("    shadow", "    canary")):
            words.append(f"{line.split(':')[0].strip()} {line.rsplit(':', 1)[1].strip()};")
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="threads for training (default 1)")
    parser.add_argument("--robust", action="store_true", help="the story under other settings and sample sizes")
    arguments = parser.parse_args()
    start = time.perf_counter()
    tables = read_tables()
    read = time.perf_counter()
    flights = build(tables)
    print(f"read {read - start:.1f} s, features {time.perf_counter() - read:.1f} s, {flights.height} flights\n")
    settings = Settings(threads=arguments.threads)
    if arguments.robust:
        for line in robust(flights, settings):
            print(line, flush=True)
        return
    year = Year(flights, settings)
    for lines in (by_month(year), story(year, Policy()), costs(year, (1, 2))):
        for line in lines:
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
