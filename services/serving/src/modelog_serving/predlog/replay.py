"""Sends logged requests through a version again: what it answers beside what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from modelog_common.domain.errors import Invalid
from modelog_proto.serving.v1.data_pb2 import PredictionBatch

from modelog_serving.deployment.resilience import DEFAULT_ANSWER
from modelog_serving.deployment.signature import TEXT, Signature
from modelog_serving.engine.batcher import Batcher, batcher_of
from modelog_serving.engine.models import ModelRef, Models
from modelog_serving.engine.runtime import Matrix
from modelog_serving.engine.texts import OBJECT, numbers_in, text_columns, texts_by_cell
from modelog_serving.oip.core import Inference
from modelog_serving.oip.tensors import dtype_of_rows
from modelog_serving.predlog import file
from modelog_serving.predlog.bodies import Connection
from modelog_serving.predlog.logs import Logs
from modelog_serving.predlog.personal import PersonalTexts


@dataclass(frozen=True)
class Span:
    """Answers of a deployment from `since_us` on and before `until_us` (0: to the end), after a place in the log."""

    deployment: str
    since_us: int
    until_us: int
    after: int


@dataclass
class Replayed:
    """A page of answers; `logged` and `replayed` are (answers, outputs), row-major, one after the other.

    So are their texts, which are empty where no output is one. Of `erased` answers nothing is told: the
    keys of their subjects are gone.
    """

    last: int
    ids: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    logged: list[float] = field(default_factory=list)
    replayed: list[float] = field(default_factory=list)
    logged_texts: list[str] = field(default_factory=list)
    replayed_texts: list[str] = field(default_factory=list)
    slice_values: list[float] = field(default_factory=list)
    erased: int = 0
    next_after: int = 0


class Replay:
    """Answers from the log's features, beside the traffic and without being traffic."""

    def __init__(
        self, logs: Logs, inference: Inference, models: Models, batcher: Batcher, personal: PersonalTexts
    ) -> None:
        self._logs, self._inference, self._models, self._batcher = logs, inference, models, batcher
        self._personal = personal

    async def page(self, tenant: str, span: Span, candidate: str, by: str, limit: int) -> Replayed:
        """The next answers, about `limit` of them; `candidate` is empty for the versions that had answered.

        Raises NotFound for a deployment or version that there is not, Invalid for one that takes other features.
        """
        # Asked first, so that what cannot be replayed is said also where there is nothing to replay.
        refs: dict[str, ModelRef | None] = {DEFAULT_ANSWER: None}
        if candidate:
            refs[candidate] = await self._ref(tenant, span.deployment, candidate)
        await self._inference.refs(tenant, span.deployment)
        number, after = self._logs.place(span.after)
        log = self._logs.all[number]
        await log.flush()
        page = Replayed(self._logs.told(len(self._logs.all) - 1, self._logs.all[-1].sequence))
        here = replace(span, after=after)
        batches, next_after = await log.reading(lambda db: _batches(db, tenant, here, limit))
        if next_after:
            page.next_after = self._logs.told(number, next_after)
        elif number + 1 < len(self._logs.all):
            page.next_after = self._logs.told(number + 1, 0)
        for batch in batches:
            for answerer in {a.version for a in batch.answerers} if not candidate else ():
                if answerer not in refs:
                    refs[answerer] = await self._ref(tenant, span.deployment, answerer)
            await self._add(page, batch, [refs[candidate or a.version] for a in batch.answerers], by)
        return page

    async def _ref(self, tenant: str, deployment: str, version: str) -> ModelRef:
        (ref,) = await self._inference.refs(tenant, deployment, version)
        return ref

    async def _add(self, page: Replayed, batch: PredictionBatch, refs: Sequence[ModelRef | None], by: str) -> None:
        features, logged, there = await self._personal.opened_batch(batch)
        answered_by = np.frombuffer(batch.answered_by, np.uint8)
        ids = list(batch.prediction_ids)
        if not there.all():
            page.erased += int(len(there) - there.sum())
            features, logged, answered_by = features[there], logged[there], answered_by[there]
            ids = [one for one, is_there in zip(ids, there, strict=True) if is_there]
        replayed: Matrix = np.empty(logged.shape, OBJECT if batch.text_outputs else np.float64)
        for number, ref in enumerate(refs):
            rows = answered_by == number
            if not rows.any():
                continue
            if ref is None:
                # No model gave a default answer, and none is asked for it.
                replayed[rows] = logged[rows]
                continue
            given = arranged(ref.signature, batch.feature_names, features[rows])
            model = self._models.loaded(ref) or await self._models.get(ref)
            found = await batcher_of(model, self._batcher).predict_alone(model, given)
            if found.shape[1] != logged.shape[1]:
                raise Invalid.field("candidate", f"answers {found.shape[1]} numbers; logged are {logged.shape[1]}")
            if len(found) and text_columns(found) != list(batch.text_outputs):
                raise Invalid.field("candidate", "answers with texts where numbers are logged, or the other way around")
            replayed[rows] = found
        page.ids += ids
        page.versions += [batch.answerers[number].version for number in answered_by]
        page.logged += numbers_in(logged).astype(np.float64).ravel().tolist()
        page.replayed += numbers_in(replayed).ravel().tolist()
        if batch.text_outputs:
            page.logged_texts += texts_by_cell(logged.ravel())
            page.replayed_texts += texts_by_cell(replayed.ravel())
        if by:
            column = _column(batch.feature_names, by, "slice")
            if column in batch.text_features:
                raise Invalid.field("slice", f"{by!r} is a text; slices are of numbers")
            page.slice_values += features[:, column].astype(np.float64).tolist()


def arranged(signature: Signature, names: Sequence[str], features: Matrix) -> Matrix:
    """Logged features as a model takes them; raises Invalid for one that was not logged."""
    columns = [_column(names, name, "candidate") for name in signature.features]
    found: Matrix = np.ascontiguousarray(features[:, columns])
    logged = [isinstance(cell, str) for cell in found[0]] if len(found) else []
    asked = [spec.datatype == TEXT for spec in signature.inputs for _ in range(spec.width)]
    for name, was, taken in zip(signature.features, logged, asked, strict=False):
        if was != taken:
            raise Invalid.field("candidate", f"takes the feature {name!r} as {_kind(taken)}; logged is {_kind(was)}")
    return found.astype(dtype_of_rows(signature))


def _kind(is_text: bool) -> str:
    return "a text" if is_text else "a number"


def _column(names: Sequence[str], name: str, asked: str) -> int:
    try:
        return list(names).index(name)
    except ValueError:
        raise Invalid.field(asked, f"needs the feature {name!r}; logged are {', '.join(names)}") from None


def _batches(db: Connection, tenant: str, span: Span, limit: int) -> tuple[list[PredictionBatch], int]:
    """The next batches of a span, and where to go on; 0 at the end."""
    found: list[PredictionBatch] = []
    rows, after = 0, max(span.after, _before(db, span.since_us))
    where = "sequence > ? AND tenant = ? AND deployment = ? ORDER BY sequence"
    for stored in file.batches(db, where, (after, tenant, span.deployment)):
        batch = PredictionBatch.FromString(stored.body)
        if span.until_us and batch.answered_at_us >= span.until_us:
            return found, 0
        if rows and rows + len(batch.prediction_ids) > limit:
            return found, after
        found.append(batch)
        rows, after = rows + len(batch.prediction_ids), stored.sequence
    return found, 0


def _before(db: Connection, since_us: int) -> int:
    """The last place of the log before which everything was answered before a time: batches are in its order."""
    (first, last) = db.execute("SELECT coalesce(min(sequence), 1), coalesce(max(sequence), 0) FROM batch").fetchone()
    while since_us and first <= last:
        middle = (first + last) // 2
        stored = file.one_batch(db, "sequence >= ? ORDER BY sequence", (middle,))
        if PredictionBatch.FromString(stored.body).answered_at_us < since_us:
            first = stored.sequence + 1
        else:
            last = middle - 1
    return int(first) - 1
