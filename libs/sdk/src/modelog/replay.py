"""What became of a replay: how far a candidate's answers are from those that were logged, in all and by slice."""

from __future__ import annotations

import hashlib
import math
import struct
from array import array
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Sequence, Tuple

from modelog.types.serving import ReplayPage

# So many different values, at most, are categories, each a slice of its own.
CATEGORIES = 10


@dataclass(frozen=True)
class Difference:
    """Of some answers: how many, the mean and the largest distance of their outputs, and the share that changed.

    Texts that differ are 1 apart.
    """

    slice: str
    count: int
    mean_absolute: float
    largest: float
    changed: float


@dataclass(frozen=True)
class ReplayReport:
    """The digests are SHA-256 over all outputs, as float64 and then texts, page by page: equal when every bit is.

    Nothing else is told of `erased` answers, whose texts cannot be read any more.
    """

    deployment: str
    candidate: str
    slice: str
    whole: Difference
    slices: Tuple[Difference, ...]
    versions: Dict[str, int]
    logged_digest: str
    replayed_digest: str
    erased: int = 0

    @property
    def identical(self) -> bool:
        """Whether every output is the same to the last bit."""
        return self.logged_digest == self.replayed_digest

    def to_dict(self) -> Dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "slices": [asdict(each) for each in self.slices], "identical": self.identical}


@dataclass
class Replayed:
    """Gathers pages."""

    deployment: str
    candidate: str
    slice: str
    tolerance: float = 0.0
    distances: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    versions: Dict[str, int] = field(default_factory=dict)
    erased: int = 0

    def __post_init__(self) -> None:
        self._logged, self._replayed = hashlib.sha256(), hashlib.sha256()

    def add(self, page: ReplayPage) -> None:
        """The next answers."""
        logged, replayed = _floats(page.logged), _floats(page.replayed)
        self._logged.update(_bytes(logged))
        self._replayed.update(_bytes(replayed))
        texts = list(zip(page.logged_texts, page.replayed_texts)) or [("", "")] * len(logged)
        for digest, of_page in ((self._logged, page.logged_texts), (self._replayed, page.replayed_texts)):
            digest.update("".join(f"{len(text)}:{text}" for text in of_page).encode())
        width = len(logged) // len(page.prediction_ids) if page.prediction_ids else 1
        for start in range(0, len(logged), width):
            pairs = zip(logged[start : start + width], replayed[start : start + width])
            changed = sum(one != other for one, other in texts[start : start + width])
            self.distances.append((sum(_distance(a, b) for a, b in pairs) + changed) / width)
        self.values.extend(_floats(page.slice_values))
        for version in page.versions:
            self.versions[version] = self.versions.get(version, 0) + 1
        self.erased += page.erased

    def report(self) -> ReplayReport:
        """What came of it."""
        return ReplayReport(
            self.deployment,
            self.candidate,
            self.slice,
            self._difference("all", range(len(self.distances))),
            tuple(self._difference(name, rows) for name, rows in slices(self.slice, self.values)),
            dict(sorted(self.versions.items())),
            self._logged.hexdigest(),
            self._replayed.hexdigest(),
            self.erased,
        )

    def _difference(self, name: str, rows: Sequence[int]) -> Difference:
        found = [self.distances[row] for row in rows]
        if not found:
            return Difference(name, 0, 0.0, 0.0, 0.0)
        changed = sum(distance > self.tolerance for distance in found) / len(found)
        return Difference(name, len(found), sum(found) / len(found), max(found), changed)


def slices(feature: str, values: Sequence[float]) -> List[Tuple[str, List[int]]]:
    """The rows of each slice: of each value when there are few, else of each tenth; those without a value last."""
    known = sorted((value, row) for row, value in enumerate(values) if not math.isnan(value))
    missing = [row for row, value in enumerate(values) if math.isnan(value)]
    different = sorted({value for value, _ in known})
    if len(different) <= CATEGORIES:
        found = [(f"{feature} = {each:g}", [row for value, row in known if value == each]) for each in different]
    else:
        edges = sorted({known[len(known) * tenth // 10][0] for tenth in range(10)})
        found = []
        for low, high in zip(edges, [*edges[1:], None]):
            rows = [row for value, row in known if low <= value and (high is None or value < high)]
            found.append((f"{feature} from {low:g}" + ("" if high is None else f" to below {high:g}"), rows))
    return [*found, (f"{feature} missing", missing)] if missing else found


def _distance(a: float, b: float) -> float:
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return math.inf if math.isnan(a) or math.isnan(b) else abs(a - b)


def _floats(values: Sequence[Any]) -> List[float]:
    return [float(value) for value in values]


def _bytes(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *(math.nan if math.isnan(value) else value for value in values))
