"""Finds an answer in the prediction log, and its place in what was sealed."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from modelog_common.domain.errors import Invalid, NotFound, Unavailable

from modelog_serving.predlog import file, segments
from modelog_serving.predlog.answers import Recorded
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.seal import Sealer
from modelog_serving.predlog.segments import Included


class Evidence:
    """What the log holds and vouches for."""

    def __init__(self, log: PredictionLog, sealer: Sealer) -> None:
        self._log, self._sealer = log, sealer

    async def find(self, tenant: str, deployment: str, prediction_id: str) -> Recorded:
        """One answer by its id; raises NotFound, which says what was dropped."""
        found = await self._log.find(tenant, deployment, prediction_id)
        if found is None:
            raise await self._missing(tenant, deployment, prediction_id)
        return found

    async def included(self, tenant: str, deployment: str, prediction_id: str) -> Included:
        """An answer with its way to the root of its segment, which is in the log of events. It is sealed if need be.

        Raises NotFound; Invalid when several deployments have the id and none is named; Unavailable when it cannot be
        sealed now.
        """
        places = await self._log.reading(lambda db: file.places_of(db, tenant, deployment, prediction_id))
        if not places:
            raise await self._missing(tenant, deployment, prediction_id)
        if len(places) > 1:
            named = ", ".join(sorted(place.deployment for place in places))
            raise Invalid.field("deployment", f"is needed: there is a prediction {prediction_id!r} of {named}")
        place = places[0]
        segment = await self._log.reading(lambda db: segments.segment_of(db, tenant, place.sequence))
        if segment is None or not segment.position:
            if await self._log.reading(lambda db: _is_dropped(db, tenant, place.sequence)):
                raise await self._missing(tenant, place.deployment, prediction_id)
            await self._sealer.seal(tenant)
            segment = await self._log.reading(lambda db: segments.segment_of(db, tenant, place.sequence))
        if segment is None or not segment.position:
            raise Unavailable(f"prediction {prediction_id!r} is not sealed yet; try again")
        sealed = segment
        found = await self._log.reading(lambda db: segments.included(db, sealed, place.sequence, place.row))
        if found is None:
            raise await self._missing(tenant, place.deployment, prediction_id)
        return found

    async def _missing(self, tenant: str, deployment: str, prediction_id: str) -> NotFound:
        of = f" of {deployment!r}" if deployment else ""
        dropped = await self._log.reading(lambda db: _dropped(db, tenant))
        return NotFound(f"the prediction log has no prediction {prediction_id!r}{of}{dropped}")


def _is_dropped(db: sqlite3.Connection, tenant: str, sequence: int) -> bool:
    return db.execute("SELECT 1 FROM dropped WHERE tenant = ? AND last >= ?", (tenant, sequence)).fetchone() is not None


def _dropped(db: sqlite3.Connection, tenant: str) -> str:
    row = db.execute("SELECT last_us, dropped_us FROM dropped WHERE tenant = ?", (tenant,)).fetchone()
    if row is None:
        return ""
    answered, at = (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us) for us in row)
    return (
        f"; what was answered until {answered:%Y-%m-%dT%H:%M:%SZ} was dropped, the last of it at "
        f"{at:%Y-%m-%dT%H:%M:%SZ}, and cannot be shown or proven any more"
    )
