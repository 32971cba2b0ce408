"""The environments of MLflow's clients have the frameworks that ours has not."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mlflow_clients"))
