"""What every runtime of texts promises: the framework's own answers, whatever is sent, and words for what it does not
take."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec, unservable
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.oip.tensors import Tensor, matrix_of, outputs_of
from modelog_serving.runtimes.find import KINDS, LazyRuntimes
from modelog_serving.worker.isolated import Isolated
from modelog_serving.worker.limits import Device, Limits

Cells = list[list[str | float]]
# Where a model computes that may use a GPU, and the framework beside it.
DEVICE = Device(os.environ.get("MODELOG_TEST_TORCH_DEVICE", "cpu"))
TEXTS = ("the flight is late", "on time", "rain and wind, wind and rain", "", "für Zoë ✈", "on time", "late late late")


@dataclass(frozen=True)
class TextCase:
    """A model of a framework: `texts` are what it may be asked, a row each, and `answers` what it answers itself to one
    row: a cell for each column of the outputs."""

    flavor: str
    content: bytes
    signature: Signature
    answers: Callable[[Sequence[str]], list[str | float]]
    texts: tuple[tuple[str, ...], ...] = tuple((text,) for text in TEXTS)
    approved: bool = False

    def load(self, content: bytes | None = None, limits: Limits | None = None, **other: Any) -> Model:
        changed = replace(self, **other)
        made = LazyRuntimes(1, limits, device=DEVICE).of(self.flavor)
        return made.load(self.content if content is None else content, changed.signature, changed.approved)

    def tensors(self, rows: Sequence[Sequence[str]]) -> list[Tensor]:
        return [
            Tensor(name, "BYTES", (len(rows),), np.array([row[n] for row in rows], object))
            for n, name in enumerate(self.signature.features)
        ]

    def rows(self, rows: Sequence[Sequence[str]]) -> Matrix:
        return matrix_of(self.signature, self.tensors(rows))

    def asked(self, model: Model, rows: Sequence[Sequence[str]]) -> Cells:
        """What is answered, a list of cells for each row, as the outputs' datatypes have them."""
        found = outputs_of(self.signature, model.predict(self.rows(rows)), ())
        assert [tensor.datatype for tensor in found] == [spec.datatype for spec in self.signature.outputs]
        parts = [tensor.values.reshape(len(rows), -1).tolist() for tensor in found]
        return [[cell for part in parts for cell in part[row]] for row in range(len(rows))]

    def expected(self, rows: Sequence[Sequence[str]]) -> Cells:
        """As the framework answers, in the outputs' datatypes."""
        singles = [spec.datatype == "FP32" for spec in self.signature.outputs for _ in range(spec.width)]
        return [
            [
                float(np.float32(cell)) if single else cell
                for cell, single in zip(self.answers(row), singles, strict=True)
            ]
            for row in rows
        ]


def from_a_process_of_its_own(case: TextCase) -> None:
    """Look that a model's own process answers the same; starting one takes seconds with a large framework."""
    model = case.load(limits=Limits(device=DEVICE))
    assert isinstance(model, Isolated)
    assert case.asked(model, case.texts) == case.expected(case.texts)


class TextRuntimeSuite:
    """A test module gives the fixture. Answers are compared to the last bit: each text is computed by itself."""

    @pytest.fixture
    def case(self) -> TextCase:
        raise NotImplementedError

    @pytest.fixture
    def model(self, case: TextCase) -> Model:
        return case.load()

    def test_its_signature_can_be_served(self, case: TextCase) -> None:
        assert unservable(case.signature) == ""

    def test_it_answers_as_the_framework_does(self, case: TextCase, model: Model) -> None:
        assert case.asked(model, case.texts) == case.expected(case.texts)

    def test_a_row_is_answered_alone_as_in_a_batch(self, case: TextCase, model: Model) -> None:
        together = case.asked(model, case.texts)
        assert [case.asked(model, [row])[0] for row in case.texts] == together

    def test_threads_do_not_disturb_each_other(self, case: TextCase, model: Model) -> None:
        parts = [case.texts[n % 5 : n % 5 + 2] for n in range(12)]
        expected = [case.asked(model, part) for part in parts]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda part: case.asked(model, part), parts)) == expected

    def test_a_request_that_does_not_fit_is_refused_by_name(self, case: TextCase) -> None:
        first, *rest = case.tensors(case.texts[:2])
        with pytest.raises(Invalid, match="inputs: is empty"):
            matrix_of(case.signature, [])
        with pytest.raises(Invalid, match="'unknown' is no input of this model"):
            matrix_of(case.signature, [replace(first, name="unknown"), *rest])
        with pytest.raises(Invalid, match=r"inputs\[0\].shape"):
            matrix_of(case.signature, [replace(first, shape=(1, 1, 99), values=np.full(99, "", object)), *rest])
        with pytest.raises(Invalid, match="has datatype FP32; expected BYTES"):
            matrix_of(case.signature, [replace(first, datatype="FP32", values=np.zeros(2, np.float32)), *rest])
        with pytest.raises(Invalid, match="is no text that UTF-8 can hold"):
            matrix_of(case.signature, [replace(first, values=np.array(["a", "\ud800"], object)), *rest])
        with pytest.raises(Invalid, match="bytes of texts; at most 4000000 are allowed"):
            matrix_of(case.signature, [replace(first, values=np.array(["a", "b" * 4_000_000], object)), *rest])

    def test_a_file_that_is_broken_off_is_refused(self, case: TextCase) -> None:
        size = len(case.content)
        for kept in (0, 1, 10, size // 2, size * 9 // 10):
            with pytest.raises(NotAllowed, match="the model file"):
                case.load(case.content[:kept])

    def test_a_file_of_something_else_is_refused(self, case: TextCase) -> None:
        for content in (b"{}", b"\x89PNG\r\n\x1a\n" + bytes(100), b"tree\n", b"PK\x03\x04" + bytes(50), b"\x80\x04."):
            with pytest.raises(NotAllowed, match="the model file"):
                case.load(content)

    def test_a_signature_that_the_file_does_not_fit_is_refused(self, case: TextCase) -> None:
        outputs = (TensorSpec("y", "FP32", (-1, 97)),)
        with pytest.raises(NotAllowed, match="the model file"):
            case.load(signature=Signature(case.signature.inputs, outputs))

    def test_a_package_that_is_not_installed_is_named(self, case: TextCase, monkeypatch: pytest.MonkeyPatch) -> None:
        kind = KINDS[case.flavor]
        # This is how Python is told that a package cannot be imported.
        monkeypatch.setitem(sys.modules, kind.packages[0], None)
        with pytest.raises(NotAllowed) as refused:
            LazyRuntimes().of(case.flavor)
        assert f"models of flavor {case.flavor!r} need {kind.packages[0]}, which" in str(refused.value)
        assert f"pip install 'modelog-serving[{kind.extra}]'" in str(refused.value)
