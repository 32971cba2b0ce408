"""Where a platform keeps what a backup holds: its log, its blobs, its curves, and the keys of personal data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelog_common.config import FOLDER, SQLITE, Settings, variable
from modelog_common.domain.errors import Invalid

from modelog_platform.folder import PlatformFolder
from modelog_platform.log.stores import shown

# The settings of a service, of which these count here.
Places = Settings
COUNTED = ("event_store", "key_store", "blobs", "curves")
# What it takes to read them.
SECRET = ("series_token",)


def places_of(platform: PlatformFolder, store: str = "") -> Places:
    """As the services were told, by `modelog up` or else by the environment; `store` is another address of the log."""
    told = platform.read_settings()
    known = {field: told[variable(field)] for field in (*COUNTED, *SECRET) if told.get(variable(field))}
    return _settings(platform.data, known | ({"event_store": store} if store else {}))


def new_places(data: Path, store: str, blobs: str = "") -> Places:
    """Of a platform that is not there yet: as the environment says, or at these addresses of its log and its blobs."""
    known = {"event_store": store, "blobs": blobs}
    return _settings(data, {field: address for field, address in known.items() if address})


@contextmanager
def with_bucket_of(told: Mapping[str, str]) -> Iterator[None]:
    """While this lasts, the variables that say where a bucket is and who may use it are those of the services."""
    own = {name: value for name, value in told.items() if name.startswith("AWS_")}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def places_in(data: Path) -> Places:
    """Of a platform that has everything in its data folder, whatever the environment says."""
    files = {"event_store": f"{SQLITE}{data / 'events.db'}", "key_store": f"{SQLITE}{data / 'data-keys.db'}"}
    return _settings(data, files | {"blobs": f"{FOLDER}{data / 'blobs'}", "curves": ""})


def told(places: Places) -> list[str]:
    """The places that are not in the data folder, for people: without user and password."""
    kinds = {
        "event_store": "the log",
        "key_store": "the keys of personal data",
        "blobs": "the blobs",
        "curves": "the curves",
    }
    where = {field: getattr(places, field) for field in COUNTED}
    here = {field: getattr(places_in(places.data_dir), field) for field in COUNTED}
    return [f"{kinds[field]} in {shown(address)}" for field, address in where.items() if address != here[field]]


def _settings(data: Path, known: Mapping[str, Any]) -> Places:
    try:
        return Settings.read(data_dir=data, **known)
    except Invalid as error:
        wrong = error.violations[0].field
        field = next(name for name in Settings.fields if variable(name) == wrong)
        what = f"{shown(known[field])} cannot be used" if field in known else "is set to what cannot be used"
        raise Invalid.field(
            variable(field), f"{what}; allowed: {Settings.fields[field].description or 'see the settings'}"
        ) from None
