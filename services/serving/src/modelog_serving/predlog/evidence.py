"""Finds an answer in the prediction log, and its place in what was sealed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from modelog_common.domain.errors import Invalid, NotFound, Unavailable

from modelog_serving.predlog import file, index, segments
from modelog_serving.predlog.answers import Recorded
from modelog_serving.predlog.bodies import Connection
from modelog_serving.predlog.log import PredictionLog
from modelog_serving.predlog.seal import Sealer
from modelog_serving.predlog.segments import Included


@dataclass(frozen=True)
class Sealed:
    """A log with what seals it."""

    log: PredictionLog
    sealer: Sealer


class Evidence:
    """What the logs of this machine hold and vouch for."""

    def __init__(self, sealed: Sequence[Sealed]) -> None:
        self._sealed = sealed

    async def find(self, tenant: str, deployment: str, prediction_id: str) -> Recorded:
        """One answer by its id; raises NotFound, which says what was dropped."""
        for sealed in self._sealed:
            found = await sealed.log.find(tenant, deployment, prediction_id)
            if found is not None:
                return found
        raise await self._missing(tenant, deployment, prediction_id)

    async def find_all(self, tenant: str, deployment: str, ids: Sequence[str]) -> dict[str, Recorded]:
        """The answers that are there, by their ids."""
        found: dict[str, Recorded] = {}
        for sealed in self._sealed:
            left = [one for one in ids if one not in found]
            if left:
                found |= await sealed.log.reading(partial(_recorded, tenant, deployment, left))
        return found

    async def included(self, tenant: str, deployment: str, prediction_id: str) -> Included:
        """An answer with its way to the root of its segment, which is in the log of events. It is sealed if need be.

        Raises NotFound; Invalid when several deployments have the id and none is named; Unavailable when it cannot be
        sealed now.
        """
        places = [
            (sealed, place)
            for sealed in self._sealed
            for place in await sealed.log.reading(_places(tenant, deployment, prediction_id))
        ]
        if not places:
            raise await self._missing(tenant, deployment, prediction_id)
        named = {place.deployment for _, place in places}
        if len(named) > 1:
            raise Invalid.field(
                "deployment", f"is needed: there is a prediction {prediction_id!r} of {', '.join(sorted(named))}"
            )
        found = await _included(*places[0], tenant, prediction_id)
        if found is None:
            raise await self._missing(tenant, places[0][1].deployment, prediction_id)
        return found

    async def _missing(self, tenant: str, deployment: str, prediction_id: str) -> NotFound:
        of = f" of {deployment!r}" if deployment else ""
        told = [await sealed.log.reading(lambda db: _dropped(db, tenant)) for sealed in self._sealed]
        # The latest time until which something was dropped, for they are texts in the order of time.
        dropped = max(told, default="")
        return NotFound(f"the prediction log has no prediction {prediction_id!r}{of}{dropped}")


def _recorded(tenant: str, deployment: str, ids: Sequence[str], db: Connection) -> dict[str, Recorded]:
    number = file.known_number(db, tenant, deployment)
    if number is None:
        return {}
    places = {one: place for one in ids if (place := index.place_of(db, number, one)) is not None}
    return {one: index.recorded(db, *place) for one, place in places.items()}


def _places(tenant: str, deployment: str, prediction_id: str) -> Callable[[Connection], list[index.Place]]:
    return lambda db: index.places_of(db, tenant, deployment, prediction_id)


async def _included(sealed: Sealed, place: index.Place, tenant: str, prediction_id: str) -> Included | None:
    """None for what was dropped."""
    log = sealed.log
    segment = await log.reading(lambda db: segments.segment_of(db, tenant, place.sequence))
    if segment is None or not segment.position:
        if await log.reading(lambda db: _is_dropped(db, tenant, place.sequence)):
            return None
        await log.look()
        await sealed.sealer.seal(tenant)
        segment = await log.reading(lambda db: segments.segment_of(db, tenant, place.sequence))
    if segment is None or not segment.position:
        raise Unavailable(f"prediction {prediction_id!r} is not sealed yet; try again")
    told = segment
    found = await log.reading(lambda db: segments.included(db, told, place.sequence, place.row))
    if found is None and not await log.reading(lambda db: _is_dropped(db, tenant, place.sequence)):
        raise NotFound(
            f"prediction {prediction_id!r} cannot be proven any more: segment {told.number} of the prediction log "
            "has lost answers"
        )
    return found


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
