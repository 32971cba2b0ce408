"""What the user of this project decides: when a model counts as worse, and what a challenger must prove.

`measure.py` prints the figures that these settings were chosen by.
"""

from __future__ import annotations

from typing import Any

QUALITY: dict[str, float] = {"auc_loss": 0.01}
POLICY: dict[str, Any] = {
    "on_drift": True,
    "on_quality": True,
    "evaluation_rows": 25_000,
    "canary_percent": 10.0,
    "canary_rows": 2_500,
}
