"""What is kept of one arm's outcomes: number, mean and sum of squared deviations."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_stats.checks import BadInput, Column, finite


@dataclass(frozen=True, slots=True)
class Arm:
    """Three numbers, whatever the number of outcomes; two arms' worth of outcomes merge exactly (Chan et al. 1983)."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def variance(self) -> float:
        """Of one outcome, without Bessel's correction: of zeros and ones it is p (1 - p)."""
        return self.squares / self.n if self.n else 0.0

    def merged(self, other: Arm) -> Arm:
        n = self.n + other.n
        if not n:
            return self
        apart = other.mean - self.mean
        return Arm(n, self.mean + apart * other.n / n, self.squares + other.squares + apart**2 * self.n * other.n / n)


NOTHING = Arm()


def arm_of(outcomes: Column) -> Arm:
    """Of outcomes, shape (n,), none allowed."""
    values = finite(outcomes, "outcomes", at_least=0)
    if not len(values):
        return NOTHING
    return Arm(len(values), float(values.mean()), float(((values - values.mean()) ** 2).sum()))


def arm_of_counts(successes: int, n: int) -> Arm:
    """Of `n` outcomes that are 0 or 1, `successes` of them 1."""
    if not 0 <= successes <= n:
        raise BadInput("successes", f"{successes} is not allowed; from 0 to n, {n}, is needed")
    return Arm(n, successes / n, successes * (1 - successes / n)) if n else NOTHING
