"""When a challenger has proved itself: the two rules, and their reasons in words."""

from __future__ import annotations

from dataclasses import dataclass

from modelog_monitoring.retraining.events import Comparison, Difference

CANARY_MARGIN = 0.01


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


def on_canary_rows(comparison: Comparison) -> Verdict:
    """Non-inferiority with a gain: better beyond chance, or better and at most 0.01 worse at the interval's low end.

    That the challenger is superior was shown on the fresh rows, many times as many. The canary asks another question:
    does it do harm as it is really served? Its share is small, so to ask for superiority again would refuse most good
    challengers. A margin below which a loss does not matter is the accepted test for that (Piaggio et al., Reporting of
    noninferiority and equivalence randomized trials, JAMA 308, 2012).
    """
    auc = comparison.auc
    if auc is None:
        return _too_few(comparison)
    rows = f"{comparison.rows} rows that it answered as a canary"
    if auc.low > 0:
        return Verdict(True, f"better beyond chance on {rows}: {_auc_text(auc)}")
    if auc.value > 0 and auc.low > -CANARY_MARGIN:
        return Verdict(True, f"better on {rows}, and not worse by more than {CANARY_MARGIN:g}: {_auc_text(auc)}")
    if auc.value <= 0:
        return Verdict(False, f"not better on {rows}: {_auc_text(auc)}")
    return Verdict(False, f"may be worse by more than {CANARY_MARGIN:g} on {rows}: {_auc_text(auc)}")


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
