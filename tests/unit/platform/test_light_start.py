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
    "pydantic",
    "pyarrow",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",
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


def test_what_was_left_out_is_there_for_who_asks_for_it() -> None:
    asked = """
from modelog_common.loading import loading
with loading():
    from sqlalchemy.ext.asyncio import create_async_engine
import sys
assert "sqlalchemy.orm" not in sys.modules
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, session
from sqlalchemy.orm import Session
assert AsyncSession.sync_session_class is Session and session.AsyncSession is AsyncSession
import sqlalchemy.ext.asyncio as engines
assert async_scoped_session.__module__ == "sqlalchemy.ext.asyncio.scoping"
assert not hasattr(engines, "no_such_thing")
import rich
"""
    subprocess.run([sys.executable, "-c", asked], check=True, timeout=120)
