"""What every comparison answers with, and how it is said in a sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """By how much `b` exceeds `a`: the estimate, its interval, and the two-sided p-value of no difference.

    `what` is compared, such as "AUC", of what is called `a` and `b`; `n` counts `units`, such as "rows". An interval
    that does not exist at this confidence (too few runs for ranks) is from minus to plus infinity.
    """

    what: str
    estimate: float
    low: float
    high: float
    p_value: float
    method: str
    n: int
    units: str
    confidence: float = 0.95
    a: str = "a"
    b: str = "b"

    @property
    def significant(self) -> bool:
        return self.p_value < 1 - self.confidence

    @property
    def sentence(self) -> str:
        """The result for somebody who reads only this."""
        told = (
            f"{self.confidence * 100:g} % interval of the difference {self.low:.4g} to {self.high:.4g}; "
            f"{self.method}, {self.n:,} {self.units}, p {said_p(self.p_value)}"
        )
        if not self.significant:
            return f"no difference in {self.what} between {self.a} and {self.b} is shown: {self.estimate:+.4g} ({told})"
        direction = "higher" if self.estimate > 0 else "lower"
        return f"{self.what} of {self.b} is {direction} than that of {self.a} by {abs(self.estimate):.4g} ({told})"


def said_p(p_value: float) -> str:
    return "< 0.0001" if p_value < 0.0001 else f"= {p_value:.2g}"
