"""What every runtime promises: the framework's own numbers, whatever is sent, and words for what it does not take."""

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
from modelog_serving.deployment.signature import Signature, TensorSpec, column_names, unservable
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.oip.tensors import DTYPES, Tensor, dtype_of_rows, matrix_of, outputs_of
from modelog_serving.runtimes.find import KINDS, LazyRuntimes
from modelog_serving.worker.limits import Device
from numpy.typing import NDArray

# Where models compute that may use a GPU; what the framework answers itself is computed on the processor all the same.
DEVICE = Device(os.environ.get("MODELOG_TEST_TORCH_DEVICE", "cpu"))
SINGLE = 1e-6


@dataclass(frozen=True)
class Case:
    """A model of a framework: `rows` (rows, features) float64 are what it may be asked, `answers` what it answers
    itself to rows of the signature's datatypes, as (rows, outputs)."""

    flavor: str
    content: bytes
    signature: Signature
    rows: NDArray[np.float64]
    answers: Callable[[NDArray[Any]], NDArray[Any]]
    takes_missing: bool = True
    checks_names: bool = True
    approved: bool = False
    # A function of a table does not mind more columns.
    counts_columns: bool = True
    # The last column is of whole numbers, which are never missing.
    has_codes: bool = False

    def load(self, content: bytes | None = None, **other: Any) -> Model:
        changed = replace(self, **other)
        made = LazyRuntimes(device=DEVICE).of(self.flavor)
        return made.load(self.content if content is None else content, changed.signature, self.approved)

    def tensors(self, rows: NDArray[np.float64]) -> list[Tensor]:
        """A request as the signature wants it."""
        made, start = [], 0
        for spec in self.signature.inputs:
            part = rows[:, start : start + spec.width].astype(DTYPES[spec.datatype])
            rest = (spec.width,) if spec.columns else spec.shape[1:]
            made.append(Tensor(spec.name, spec.datatype, (len(rows), *rest), part.reshape(-1)))
            start += spec.width
        return made

    def by_column(self, rows: NDArray[np.float64]) -> list[Tensor]:
        """The same request as one tensor for each column, in another order."""
        specs = [(name, spec.datatype) for spec in self.signature.inputs for name in column_names(spec)]
        made = [
            Tensor(name, datatype, (len(rows),), rows[:, n].astype(DTYPES[datatype]))
            for n, (name, datatype) in enumerate(specs)
        ]
        return made[::-1]

    def asked(self, model: Model, tensors: Sequence[Tensor]) -> list[NDArray[Any]]:
        """What is answered to a request, each output as (rows, width)."""
        matrix = matrix_of(self.signature, tensors)
        found = outputs_of(self.signature, model.predict(matrix), ())
        assert [tensor.datatype for tensor in found] == [spec.datatype for spec in self.signature.outputs]
        return [tensor.values.reshape(len(matrix), -1) for tensor in found]

    def expected(self, rows: NDArray[np.float64]) -> list[NDArray[Any]]:
        """What the framework answers, cut into the signature's outputs."""
        whole, found, start = self.answers(self.as_signed(rows)), [], 0
        for spec in self.signature.outputs:
            found.append(whole[:, start : start + spec.width].astype(DTYPES[spec.datatype]))
            start += spec.width
        return found

    def as_signed(self, rows: NDArray[np.float64]) -> Matrix:
        """Rows as those datatypes hold them."""
        return matrix_of(self.signature, self.tensors(rows))


def same(found: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> None:
    """To the last bit that both orders of adding up have in common."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        few = SINGLE if one.dtype == np.float32 else 1e-13
        np.testing.assert_allclose(one, other, rtol=few, atol=few)


class RuntimeSuite:
    """A test module gives the fixture."""

    @pytest.fixture
    def case(self) -> Case:
        raise NotImplementedError

    @pytest.fixture
    def model(self, case: Case) -> Model:
        return case.load()

    def test_its_signature_can_be_served(self, case: Case) -> None:
        assert unservable(case.signature) == ""

    def test_it_answers_as_the_framework_does(self, case: Case, model: Model) -> None:
        expected = case.expected(case.rows)
        same(case.asked(model, case.tensors(case.rows)), expected)
        same(case.asked(model, case.by_column(case.rows)), expected)

    def test_a_row_is_answered_alone_as_in_a_batch(self, case: Case, model: Model) -> None:
        together = case.asked(model, case.tensors(case.rows))
        for number in range(5):
            alone = case.asked(model, case.tensors(case.rows[number : number + 1]))
            same(alone, [values[number : number + 1] for values in together])

    def test_rows_of_streams_which_are_float32_are_taken_too(self, case: Case, model: Model) -> None:
        rows = case.rows.astype(np.float32)
        single = model.predict(rows)
        np.testing.assert_allclose(single, model.predict(rows.astype(dtype_of_rows(case.signature))), rtol=1e-6)

    def test_a_missing_value_is_what_the_framework_makes_of_it(self, case: Case, model: Model) -> None:
        rows = case.rows.copy()
        rows[::2, 0 if case.has_codes else -1] = np.nan
        if case.takes_missing:
            same(case.asked(model, case.tensors(rows)), case.expected(rows))
        else:
            with pytest.raises(Invalid, match="missing"):
                case.asked(model, case.tensors(rows))

    def test_threads_do_not_disturb_each_other(self, case: Case, model: Model) -> None:
        parts = [case.as_signed(case.rows[n : n + 1 + n % 7]) for n in range(15)] * 2
        expected = [model.predict(part) for part in parts]
        with ThreadPoolExecutor(4) as pool:
            for one, other in zip(pool.map(model.predict, parts), expected, strict=True):
                np.testing.assert_array_equal(one, other)

    def test_a_request_that_does_not_fit_is_refused_by_name(self, case: Case) -> None:
        first, *rest = case.tensors(case.rows[:2])
        with pytest.raises(Invalid, match="inputs: is empty"):
            matrix_of(case.signature, [])
        with pytest.raises(Invalid, match="'unknown' is no input of this model"):
            matrix_of(case.signature, [replace(first, name="unknown"), *rest])
        with pytest.raises(Invalid, match=r"inputs\[0\].shape"):
            matrix_of(case.signature, [replace(first, shape=(1, 1, 99), values=np.zeros(99)), *rest])
        with pytest.raises(Invalid, match="has datatype BOOL; expected"):
            matrix_of(case.signature, [replace(first, datatype="BOOL"), *rest])
        with pytest.raises(Invalid, match="infinite or too large"):
            beyond = replace(first, values=np.full(first.values.shape, np.inf, first.values.dtype))
            matrix_of(case.signature, [beyond, *rest])

    def test_a_file_that_is_broken_off_is_refused(self, case: Case) -> None:
        size = len(case.content)
        for kept in (0, 1, 10, size // 3, size // 2, size * 9 // 10):
            with pytest.raises(NotAllowed, match="the model file"):
                case.load(case.content[:kept])

    def test_a_file_of_something_else_is_refused(self, case: Case) -> None:
        for content in (b"{}", b"\x89PNG\r\n\x1a\n" + bytes(100), b"tree\n", b"PK\x03\x04" + bytes(50), b"\x80\x04."):
            with pytest.raises(NotAllowed, match="the model file"):
                case.load(content)

    def test_a_signature_that_the_file_does_not_fit_is_refused(self, case: Case) -> None:
        inputs, outputs = case.signature.inputs, case.signature.outputs
        more = TensorSpec("more", inputs[0].datatype, (-1, 1), ("more",))
        if case.counts_columns:
            with pytest.raises(NotAllowed, match="the model file"):
                case.load(signature=Signature((*inputs, more), outputs))
        with pytest.raises(NotAllowed, match="the model file"):
            case.load(signature=Signature(inputs, (TensorSpec("y", "FP32", (-1, 97)),)))

    def test_columns_in_another_order_than_the_model_s_are_refused(self, case: Case) -> None:
        turned = [
            replace_spec(spec, columns=tuple(reversed(spec.columns)), name=spec.name)
            for spec in reversed(case.signature.inputs)
        ]
        if not case.checks_names:
            return
        with pytest.raises(NotAllowed, match="the model file"):
            case.load(signature=Signature(tuple(turned), case.signature.outputs))

    def test_a_package_that_is_not_installed_is_named(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        kind = KINDS[case.flavor]
        # This is how Python is told that a package cannot be imported.
        monkeypatch.setitem(sys.modules, kind.packages[0], None)
        wanted = f"modelog-serving[{kind.extra}]" if kind.extra else "modelog-serving"
        with pytest.raises(NotAllowed) as refused:
            LazyRuntimes().of(case.flavor)
        assert f"models of flavor {case.flavor!r} need {kind.packages[0]}, which" in str(refused.value)
        assert f"pip install '{wanted}'" in str(refused.value)


def replace_spec(spec: TensorSpec, **changed: Any) -> TensorSpec:
    return TensorSpec(**({f: getattr(spec, f) for f in TensorSpec.__struct_fields__} | changed))
