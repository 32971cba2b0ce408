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

import numpy as np
import polars as pl
import xgboost as xgb
from flights.compare import auc, auc_gain, auc_gain_by_group, log_loss
from flights.data import read_tables
from flights.features import FEATURES, build
from flights.train import Fitted, Settings, boost, fit, labels_of, score

LAST_MONTH = 12
CANARY_SHARE = 10


@dataclass(frozen=True)
class Policy:
    """When a challenger is trained, and how many fresh labelled flights decide.

    drift, drifted: at least so many features whose distribution moved by at least so much (Kolmogorov-Smirnov's
    distance from the champion's held-out flights). auc_loss: how far the window's AUC must lie below the champion's
    held-out AUC, which must also lie above the window's 95 % interval. label_growth: how many more labelled flights
    than the last challenger saw, as a share. shadow_flights: both models score them, the champion answers.
    canary_flights: both score them, the challenger answers one in ten.
    """

    drift: float = 0.1
    drifted: int = 3
    auc_loss: float = 0.01
    label_growth: float = 0.5
    shadow_flights: int = 22_000
    canary_flights: int = 4_000


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
        return self.flights.filter(pl.col("month") == month)

    def upto(self, month: int) -> pl.DataFrame:
        return self.flights.filter(pl.col("month") <= month)

    def fresh_after(self, month: int) -> pl.DataFrame:
        """The flights that are still to be predicted once every flight up to `month` has landed."""
        return self.flights.filter(pl.col("event_time") > self.upto(month)["outcome_time"].max())

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
    yield f"1.0.0 of months 1-2 ({seen} flights): held-out AUC {champion.metrics['held_out_auc']:.3f}"
    for month in range(3, LAST_MONTH):
        window, known = year.month(month), year.upto(month).height
        live, reference = (
            auc(labels_of(window), score(champion.booster, window)),
            champion.metrics["held_out_auc"],
        )
        growth, moved = known / seen - 1, drifted(champion.reference, window, policy.drift)
        look = (
            f"end of month {month:2}: 1.{version}.0 has AUC {live.value:.3f} [{live.low:.3f}, {live.high:.3f}],"
            f" held-out {reference:.3f}, {len(moved)} features drifted, {growth:+.0%} labels"
        )
        if len(moved) < policy.drifted:
            yield f"{look}: no drift"
            continue
        if reference - live.value <= policy.auc_loss or live.high >= reference:
            yield f"{look}: no loss"
            continue
        if growth < policy.label_growth:
            yield f"{look}: loss, too few new labels"
            continue
        yield f"{look}: loss, a challenger is trained on months 1-{month} ({known} flights)"
        seen, challenger, fresh = known, year.fitted(month), year.fresh_after(month)
        won, text = meet(champion.booster, challenger.booster, fresh.head(policy.shadow_flights))
        yield f"    shadow: {text}"
        if won:
            rest = fresh.slice(policy.shadow_flights, policy.canary_flights)
            won, text = meet(champion.booster, challenger.booster, rest)
            yield f"    canary: {text}"
            yield f"            {split_alone(champion.booster, challenger.booster, rest)}"
        if won:
            champion, version = challenger, version + 1
            yield f"    promoted as 1.{version}.0: held-out AUC {champion.metrics['held_out_auc']:.3f}"


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


def meet(champion: xgb.Booster, challenger: xgb.Booster, flights: pl.DataFrame) -> tuple[bool, str]:
    """The challenger wins if it ranks the same flights better beyond doubt and its log loss is not worse."""
    truth, before, after = labels_of(flights), score(champion, flights), score(challenger, flights)
    days = flights["event_time"].dt.ordinal_day().to_numpy()
    gain, by_day = auc_gain(truth, before, after), auc_gain_by_group(truth, before, after, days)
    loss = log_loss(truth, after) - log_loss(truth, before)
    won = gain.low > 0 and loss <= 0
    return won, (
        f"{flights.height} flights to {flights['event_time'][-1]:%d %b}: AUC {gain.value:+.4f} [{gain.low:+.4f},"
        f" {gain.high:+.4f}] (by day [{by_day.low:+.4f}, {by_day.high:+.4f}]), log loss {loss:+.4f}:"
        f" {'wins' if won else 'refused'}"
    )


def split_alone(champion: xgb.Booster, challenger: xgb.Booster, flights: pl.DataFrame) -> str:
    """What the answered traffic alone would say: a tenth judged by the challenger, the rest by the champion."""
    tenth = pl.Series([zlib.crc32(b"canary" + name.encode()) % CANARY_SHARE == 0 for name in flights["prediction_id"]])
    ours, theirs = flights.filter(tenth), flights.filter(~tenth)
    new, old = auc(labels_of(ours), score(challenger, ours)), auc(labels_of(theirs), score(champion, theirs))
    half = ((new.high - new.value) ** 2 + (old.high - old.value) ** 2) ** 0.5
    return f"a 10 % split alone, {ours.height} against {theirs.height}: AUC {new.value - old.value:+.3f} +- {half:.3f}"


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
    for shadow in range(16_000, 25_000, 1_000):
        for canary in (3_000, 4_000, 5_000):
            told = story(year, Policy(shadow_flights=shadow, canary_flights=canary))
            yield f"{shadow} + {canary}: {outcome(told)}"
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
        if "challenger is trained" in line:
            words.append(line.split(":")[0].removeprefix("end of "))
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
