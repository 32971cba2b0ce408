"""How the benches measure and print: medians of several rounds, and tables with ratios to a peer or a limit."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are figures."""
    widths = [max(len(row[n]) for row in [columns, *rows]) for n in range(len(columns))]
    print(f"\n{title}")
    for row in [columns, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        print("  " + "   ".join(cells).rstrip())


def per_s(rate: float) -> str:
    """A rate to three digits, with thousands separated."""
    return f"{float(f'{rate:.3g}'):,.0f}"


def ratio(of: float, to: float) -> str:
    return f"{of / to:.2f} x" if to else "-"


def machine() -> str:
    """What the figures were made on, and how busy it was with other work."""
    return f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} (other work slows the figures)"
