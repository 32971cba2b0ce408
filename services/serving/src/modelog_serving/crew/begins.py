"""What each worker is told first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelog_common.config import Settings
from modelog_common.variables import Secret

from modelog_serving.crew.frames import Begin
from modelog_serving.predlog.followed import log_of_worker
from modelog_serving.settings import ServingSettings

# What a worker has no use for: it publishes nothing and reads no topics.
_UNUSED = {"kafka_bootstrap": "", "event_bus": "", "grpc_port": 0}


def begins_of(
    settings: Settings, own: ServingSettings, folder: Path, models: Path, logs: Sequence[Path], ports: dict[str, int]
) -> list[Begin]:
    """One for each worker, whose prediction logs are among `logs`; `ports` are those that they share, by the names of
    their settings. `folder` is where the process that decides has its data.
    """
    made = []
    for number in range(1, own.crew() + 1):
        log = log_of_worker(folder, number)
        # Its lock, and what it caches, are in a folder of its own.
        values = _plain(settings.values()) | _UNUSED | ports | {"data_dir": str(log.parent)}
        others = tuple(str(path) for path in logs if path != log)
        made.append(Begin(number, values, own.values(), str(models), str(log), others))
    return made


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value
