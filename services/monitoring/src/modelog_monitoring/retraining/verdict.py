"""When a challenger has proved itself: the two rules, and their reasons in words."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_monitoring.policy.events import CanaryTest
from modelog_monitoring.retraining.events import CanaryFigures, CanaryVerdict, Comparison, Difference


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger wins, and why."""

    wins: bool
    reason: str


def on_fresh_rows(comparison: Comparison) -> Verdict:
    """Superiority: the AUC is better beyond chance, and the log loss is not worse beyond chance.

    Log loss sees what the AUC cannot, probabilities that are off; a better order of the rows may not be bought with it.
    """
    auc, log_loss = comparison.auc, comparison.log_loss
    if auc is None or log_loss is None:
        return _too_few(comparison)
    if auc.low <= 0:
        return Verdict(False, f"no gain beyond chance on {comparison.rows} fresh rows: {_auc_text(auc)}")
    if log_loss.low > 0:
        return Verdict(
            False,
            f"ranks better on {comparison.rows} fresh rows ({_auc_text(auc)}) but its probabilities are worse: "
            f"log loss {_change(log_loss, 4)}",
        )
    return Verdict(True, f"better on {comparison.rows} fresh rows: {_auc_text(auc)}; log loss {_change(log_loss, 4)}")


def on_canary(figures: CanaryFigures, test: CanaryTest, most_rows: int) -> CanaryVerdict:
    """What the bounds say of a canary that may answer so many labelled rows.

    That the challenger is superior was shown on the fresh rows, many times as many. The canary asks another question:
    does it do harm as it is really served? Its share is small, so to ask for superiority again would refuse most good
    challengers. A margin below which a loss does not matter is the accepted test for that (Piaggio et al., Reporting of
    noninferiority and equivalence randomized trials, JAMA 308, 2012). One that is proved worse is refused even if by
    less than the margin: nobody gains by it. What was given all its rows and proved nothing has not proved itself.
    """
    if figures.low > 0:
        return CanaryVerdict.BETTER
    if figures.high < 0:
        return CanaryVerdict.WORSE
    if figures.low > -test.margin:
        return CanaryVerdict.NOT_WORSE
    return CanaryVerdict.NOT_PROVED if figures.rows >= most_rows else CanaryVerdict.UNDECIDED


def canary_reason(verdict: CanaryVerdict, figures: CanaryFigures, test: CanaryTest) -> str:
    """A decision in words, with what it rests on."""
    said = {
        CanaryVerdict.BETTER: "better",
        CanaryVerdict.NOT_WORSE: f"not worse by {test.margin:g} or more",
        CanaryVerdict.WORSE: "worse",
        CanaryVerdict.NOT_PROVED: f"neither better nor less than {test.margin:g} worse is proved"
        if test.margin > 0
        else "no gain is proved",
        CanaryVerdict.UNDECIDED: "nothing is decided yet",
    }
    return (
        f"{said[verdict]} on {figures.rows} rows that it answered as a canary: Brier score "
        f"{figures.challenger_brier:.4f} against {figures.champion_brier:.4f}, gain {figures.gain:+.4f} "
        f"({100 * (1 - test.alpha):g} % interval at any look {figures.low:+.4f} to {figures.high:+.4f})"
    )


def _too_few(comparison: Comparison) -> Verdict:
    return Verdict(
        False, f"the {comparison.rows} labelled rows hold fewer than two of a class; nothing can be compared"
    )


def _auc_text(auc: Difference) -> str:
    return f"AUC {_change(auc, 3)}"


def _change(figure: Difference, digits: int) -> str:
    return (
        f"{figure.challenger:.{digits}f} against {figure.champion:.{digits}f}, difference {figure.value:+.{digits}f} "
        f"(95 % interval {figure.low:+.{digits}f} to {figure.high:+.{digits}f})"
    )
