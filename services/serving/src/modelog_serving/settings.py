"""Settings of the serving process alone, from the environment (prefix MODELOG_SERVING_)."""

from __future__ import annotations

from modelog_common.domain.errors import FieldViolation, Invalid
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "MODELOG_SERVING_"


class ServingSettings(BaseSettings):
    """How the inference server uses its machine.

    `threads` is how many threads one prediction uses; `models` how many loaded models stay that no traffic needs;
    `log_max_bytes` how large the prediction log may grow, 0 for as large as the disk; `traffic_window_s` how long the
    windows are in which traffic is measured, each an event of the log for a deployment that had requests.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    threads: int = Field(default=1, ge=1, le=64)
    models: int = Field(default=8, ge=0, le=1000)
    log_max_bytes: int = Field(default=0, ge=0)
    traffic_window_s: int = Field(default=60, ge=1, le=3600)


def load_serving_settings() -> ServingSettings:
    """Read them; raises Invalid, naming the environment variables, when one is wrong."""
    try:
        return ServingSettings()
    except ValidationError as error:
        violations = [
            FieldViolation(PREFIX + "_".join(str(p) for p in e["loc"]).upper(), f"{e['input']!r}: {e['msg']}")
            for e in error.errors()
        ]
        raise Invalid("; ".join(f"{v.field} {v.description}" for v in violations), violations) from None
