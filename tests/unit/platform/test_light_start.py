"""What a service process does not load before it is asked for something: it would start later and rest larger."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Each is loaded by what needs it: a broker, another database, an endpoint of telemetry, a card, a file of MLflow's.
NEVER = {
    "confluent_kafka",
    "fastapi",
    "jinja2",
    "markdown_it",
    "numpy",
    "opentelemetry.exporter",
    "opentelemetry.sdk.metrics",
    "pandas",
    "pyarrow",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.postgresql",
    "xgboost",
    "yaml",
}
LOADED = """
import json, runpy, sys
try:
    runpy.run_module("modelog_{service}", run_name="__main__")
except SystemExit:
    pass
print(json.dumps(sorted(name for name, module in sys.modules.items() if module is not None)))
"""


@pytest.mark.parametrize(("service", "more"), [("gateway", set()), ("registry", {"aiohttp"})])
def test_a_start_loads_only_what_it_needs(service: str, more: set[str]) -> None:
    # Without settings it ends once everything is loaded.
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(service=service)], capture_output=True, text=True, env={}, timeout=120
    )
    assert "MODELOG_DATA_DIR is not set" in done.stderr
    loaded = set(json.loads(done.stdout))
    assert f"modelog_{service}.app" in loaded
    assert loaded & (NEVER | more) == set()
