"""Between JSON bodies and the core's requests and responses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from modelog_common.domain.errors import Invalid
from modelog_common.edge.http1_answer import Answer

from modelog_serving.deployment.signature import Signature, TensorSpec, column_names
from modelog_serving.engine.explain import Wanted
from modelog_serving.engine.runtime import AnyArray
from modelog_serving.oip.asked import Described, Request, Response
from modelog_serving.oip.binary import SIZE, Behind, Form, answer_of, split
from modelog_serving.oip.explaining import wanted_of
from modelog_serving.oip.grpc_codec import shape_of, type_of
from modelog_serving.oip.repository import Statistics
from modelog_serving.oip.tensors import MAX_ROWS, Tensor, check_parameters, dtype_of, from_bytes, matrix_of, size_of

Cell = float | int | bool | str | None
# By the kinds of numpy's dtypes; what is true or false is no number.
ALLOWED: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float, type(None)}, "O": {str}}
_WORDS = {
    "b": "true or false",
    "i": "a whole number",
    "u": "a whole number from 0",
    "f": "a number, or null if missing",
    "O": "a text",
}


class InputBody(msgspec.Struct):
    """$inference_request_input."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] = []
    parameters: dict[str, Any] = {}


class OutputBody(msgspec.Struct):
    """$inference_request_output."""

    name: str
    parameters: dict[str, Any] = {}


class InferBody(msgspec.Struct):
    """$inference_request."""

    inputs: list[InputBody]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[OutputBody] = []


class PredictBody(msgspec.Struct, forbid_unknown_fields=True):
    """One prediction for each instance, an object of features by name; null is a missing number."""

    instances: list[dict[str, Cell]]
    key: str = ""
    prediction_id: str = ""
    event_time_us: int = 0
    version: str = ""
    subject: str = ""


INFER = msgspec.json.Decoder(InferBody)
_PREDICT = msgspec.json.Decoder(PredictBody)


def request_of(name: str, version: str, body: bytes, json_length: str = "") -> tuple[Request, Form]:
    """Read the body of an infer call, and in which form its outputs are wanted; raises Invalid, naming the field.

    `json_length` is what the header says of a body with binary data.
    """
    head, behind = split(json_length, body)
    message: InferBody = decoded(INFER, head)
    parameters = message.parameters
    inputs = [_tensor_of(f"inputs[{n}]", tensor, behind) for n, tensor in enumerate(message.inputs)]
    behind.check_taken()
    named: dict[str, bool] = {}
    for number, output in enumerate(message.outputs):
        check_parameters(f"outputs[{number}]", output.parameters)
        if "binary_data" in output.parameters:
            named[output.name] = _flag(f"outputs[{number}].parameters", output.parameters, "binary_data")
    form = Form(_flag("parameters", parameters, "binary_data_output"), named)
    request = Request(
        deployment=name,
        version=version,
        id=message.id,
        key=_parameter(parameters, "key", str, "a string"),
        prediction_id=_parameter(parameters, "prediction_id", str, "a string"),
        subject=_parameter(parameters, "subject", str, "a string"),
        event_time_us=_parameter(parameters, "event_time_us", int, "a whole number") or 0,
        inputs=inputs,
        outputs=[output.name for output in message.outputs],
        explain=_explain(parameters) if parameters else None,
    )
    return request, form


def _explain(parameters: Mapping[str, Any]) -> Wanted | None:
    return wanted_of(
        _parameter(parameters, "explain", str, "a string"),
        _parameter(parameters, "explain_samples", int, "a whole number"),
        _parameter(parameters, "explain_seed", int, "a whole number"),
        _parameter(parameters, "explain_baseline", str, "a string"),
    )


def predict_of(body: bytes) -> PredictBody:
    """Read the body of a predict call; raises Invalid, naming the field."""
    message: PredictBody = decoded(_PREDICT, body)
    if not 1 <= len(message.instances) <= MAX_ROWS:
        raise Invalid.field("instances", f"has {len(message.instances)} entries; 1 to {MAX_ROWS} are allowed")
    return message


def rows_of(message: PredictBody, signature: Signature) -> list[Tensor]:
    """The instances as one tensor for each column; raises Invalid, naming the instance and the feature."""
    features = signature.features
    for number, instance in enumerate(message.instances):
        extra = [name for name in instance if name not in features]
        missing = [name for name in features if name not in instance]
        if extra or missing:
            wrong = (
                f"has no feature {missing[0]!r}" if missing else f"has the feature {extra[0]!r}, which the model lacks"
            )
            raise Invalid.field(f"instances[{number}]", f"{wrong}; expected are {', '.join(features)}")
    columns = {name: [instance[name] for instance in message.instances] for name in features}
    return tensors_of(signature, columns, lambda row, name: f"instances[{row}].{name}")


def tensors_of(
    signature: Signature, columns: Mapping[str, Sequence[Any]], field: Callable[[int, str], str]
) -> list[Tensor]:
    """One tensor for each of the signature's columns; raises Invalid, naming the field of a row and a column."""
    by_column: list[Tensor] = []
    for spec in signature.inputs:
        dtype = dtype_of(f"input {spec.name}", spec.datatype)
        for name in column_names(spec):
            values = columns[name]
            fields = (field(row, name) for row in range(len(values)))
            by_column.append(Tensor(name, spec.datatype, (len(values),), _array(fields, values, dtype)))
    matrix_of(signature, by_column)
    return by_column


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """A body that must be JSON of the decoder's form; raises Invalid, naming the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or "body"
        raise Invalid.field(field, text) from None
    except msgspec.DecodeError as error:
        raise Invalid.field("body", f"is not JSON: {error}") from None


def _tensor_of(field: str, message: InputBody, behind: Behind) -> Tensor:
    dtype = dtype_of(field, message.datatype)
    size = size_of(field, message.shape)
    check_parameters(field, message.parameters)
    if SIZE in message.parameters:
        if message.data:
            raise Invalid.field(f"{field}.data", f"is given besides {SIZE}; give one of the two")
        data = behind.take(field, message.parameters[SIZE])
        return from_bytes(field, message.name, message.datatype, tuple(message.shape), data)
    values = _flat(f"{field}.data", message.data, message.shape)
    if len(values) != size:
        raise Invalid.field(
            f"{field}.data",
            f"has {len(values)} values; {message.name!r} of shape {message.shape} takes {size}",
        )
    fields = (f"{field}.data[{n}]" for n in range(size))
    return Tensor(message.name, message.datatype, tuple(message.shape), _array(fields, values, dtype))


def _flat(field: str, data: list[Any], shape: Sequence[int]) -> list[Any]:
    """Values in order, of a flat list or of lists nested as the shape says."""
    if len(shape) < 2 or not any(isinstance(value, list) for value in data):
        return data
    if len(data) != shape[0]:
        raise Invalid.field(field, f"has {len(data)} lists; the shape takes {shape[0]} there")
    values: list[Any] = []
    for number, inner in enumerate(data):
        if not isinstance(inner, list) or len(inner) != shape[1]:
            raise Invalid.field(
                f"{field}[{number}]", f"{_shown(inner)} is not allowed; it must be a list of {shape[1]}"
            )
        values.extend(_flat(f"{field}[{number}]", inner, shape[1:]))
    return values


def _array(fields: Iterator[str], values: Sequence[Any], dtype: np.dtype[np.generic]) -> AnyArray:
    allowed = ALLOWED[dtype.kind]
    # Which of them it is, is looked for when one is wrong.
    wrong = {*map(type, values)} - allowed
    for field, value in zip(fields, values, strict=True) if wrong else ():
        if type(value) in wrong:
            raise Invalid.field(field, f"{_shown(value)} is not allowed; it must be {_WORDS[dtype.kind]}")
    try:
        with np.errstate(over="ignore"):
            return np.array(values, dtype)
    except OverflowError as error:
        raise Invalid.field("inputs", f"hold a number that is too large: {error}") from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _parameter(parameters: Mapping[str, Any], name: str, kind: type[Any], words: str) -> Any:
    value = parameters.get(name, kind())
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Invalid.field(f"parameters.{name}", f"{_shown(value)} is not allowed; it must be {words}")
    return value


def _flag(field: str, parameters: Mapping[str, Any], name: str) -> bool:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise Invalid.field(f"{field}.{name}", f"{_shown(value)} is not allowed; it must be true or false")
    return value


def to_answer(response: Response, form: Form) -> Answer:
    """$inference_response, with the elements of the outputs that are wanted so in binary behind it."""
    binary = [tensor for tensor in response.outputs if form.is_binary(tensor.name)]
    head = {
        "model_name": response.deployment,
        "model_version": response.version,
        "id": response.id,
        "parameters": response.parameters(),
        "outputs": [_output(tensor, form.is_binary(tensor.name)) for tensor in response.outputs],
    }
    return answer_of(head, binary)


def _output(tensor: Tensor, is_binary: bool) -> dict[str, Any]:
    head = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    if is_binary:
        return head | {"parameters": {SIZE: len(tensor.binary())}}
    return head | {"data": _values(tensor)}


def to_predictions(response: Response) -> dict[str, Any]:
    """One answer for each instance: a number or text where the model gives one, else an object of outputs by name."""
    rows = response.outputs[0].shape[0]
    columns = {t.name: _by_row(t, rows) for t in response.outputs}
    alone = len(columns) == 1
    predictions = [
        next(iter(columns.values()))[row] if alone else {name: values[row] for name, values in columns.items()}
        for row in range(rows)
    ]
    told = {
        "predictions": predictions,
        "prediction_ids": list(response.prediction_ids),
        "model_version": response.version,
        "model_digest": response.digest,
    }
    return told | ({"fallback": response.fallback, "instead_of": response.instead_of} if response.fallback else {})


def _by_row(tensor: Tensor, rows: int) -> list[Any]:
    values = _values(tensor)
    width = len(values) // rows
    return values if width == 1 else [values[row * width : (row + 1) * width] for row in range(rows)]


def _values(tensor: Tensor) -> list[Any]:
    values: list[Any] = tensor.values.tolist()
    if tensor.values.dtype.kind == "f":
        return [value if math.isfinite(value) else None for value in values]
    return values


def to_metadata(described: Described) -> dict[str, Any]:
    """$metadata_model_response, with the properties that the gRPC form has."""
    return {
        "name": described.name,
        "versions": list(described.versions),
        "platform": described.platform,
        "inputs": [_spec(spec) for spec in described.signature.inputs],
        "outputs": [_spec(spec) for spec in described.signature.outputs],
        "properties": described.properties(),
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": shape_of(spec)}


def to_config(described: Described) -> dict[str, Any]:
    """$model_configuration_response, as far as a model here has what is in it."""
    return {
        "name": described.name,
        "platform": described.platform,
        "backend": described.platform,
        "max_batch_size": MAX_ROWS,
        "input": [_configured(spec) for spec in described.signature.inputs],
        "output": [_configured(spec) for spec in described.signature.outputs],
    }


def _configured(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "data_type": type_of(spec), "dims": shape_of(spec)[1:]}


def to_statistics(one: Statistics) -> dict[str, Any]:
    """An entry of $stats_model_response."""
    return {
        "name": one.name,
        "version": one.version,
        "last_inference": one.last_ms,
        "inference_count": one.rows,
        "execution_count": one.total.answered,
        "inference_stats": {
            "success": {"count": one.total.answered, "ns": round(one.total.answered_s * 1e9)},
            "fail": {"count": one.total.failed, "ns": round(one.total.failed_s * 1e9)},
        },
    }
