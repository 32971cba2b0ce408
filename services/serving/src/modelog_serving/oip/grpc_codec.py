"""Between the protobuf messages of the Open Inference Protocol and the core's requests and responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from modelog_common.domain.errors import Invalid
from modelog_proto.inference import grpc_predict_v2_pb2 as pb

from modelog_serving.deployment.signature import TEXT, TensorSpec
from modelog_serving.engine.explain import Wanted
from modelog_serving.engine.runtime import AnyArray
from modelog_serving.oip import texts
from modelog_serving.oip.asked import Described, Request, Response
from modelog_serving.oip.explaining import wanted_of
from modelog_serving.oip.repository import Statistics
from modelog_serving.oip.tensors import MAX_ROWS, Tensor, check_parameters, dtype_of, from_bytes, size_of

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    TEXT: "bytes_contents",
}
Parameters = Mapping[str, pb.InferParameter]


def request_of(message: pb.ModelInferRequest) -> Request:
    """Read a request; raises Invalid, naming the field."""
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise Invalid.field(
            "raw_input_contents", f"has {len(raw)} entries for {len(message.inputs)} inputs; give one for each or none"
        )
    inputs = [_tensor_of(f"inputs[{n}]", tensor, raw[n] if raw else None, n) for n, tensor in enumerate(message.inputs)]
    return Request(
        deployment=message.model_name,
        version=message.model_version,
        id=message.id,
        key=_text(message.parameters, "key"),
        prediction_id=_text(message.parameters, "prediction_id"),
        subject=_text(message.parameters, "subject"),
        event_time_us=_whole(message.parameters, "event_time_us"),
        inputs=inputs,
        outputs=[_wanted(f"outputs[{n}]", output) for n, output in enumerate(message.outputs)],
        explain=_explain(message.parameters) if message.parameters else None,
    )


def _explain(parameters: Parameters) -> Wanted | None:
    return wanted_of(
        _text(parameters, "explain"),
        _whole(parameters, "explain_samples"),
        _whole(parameters, "explain_seed"),
        _text(parameters, "explain_baseline"),
    )


def _tensor_of(field: str, message: pb.ModelInferRequest.InferInputTensor, raw: bytes | None, number: int) -> Tensor:
    dtype = dtype_of(field, message.datatype)
    shape = tuple(message.shape)
    size = size_of(field, shape)
    if message.parameters:
        check_parameters(field, message.parameters)
    if raw is None:
        return Tensor(message.name, message.datatype, shape, _contents_of(field, message, dtype, size))
    if message.HasField("contents"):
        raise Invalid.field(f"{field}.contents", "is given besides raw_input_contents; give one of the two")
    return from_bytes(f"raw_input_contents[{number}]", message.name, message.datatype, shape, raw)


def _wanted(field: str, message: pb.ModelInferRequest.InferRequestedOutputTensor) -> str:
    if message.parameters:
        check_parameters(field, message.parameters)
    return message.name


def _contents_of(
    field: str, message: pb.ModelInferRequest.InferInputTensor, dtype: np.dtype[np.generic], size: int
) -> AnyArray:
    name = CONTENTS.get(message.datatype)
    if name is None:
        raise Invalid.field(f"{field}.contents", f"cannot hold {message.datatype}; send it in raw_input_contents")
    values = getattr(message.contents, name)
    if len(values) != size:
        others = [f.name for f, _ in message.contents.ListFields() if f.name != name]
        besides = f"; {', '.join(others)} is for other datatypes" if others else ""
        raise Invalid.field(
            f"{field}.contents.{name}",
            f"has {len(values)} values; {message.name!r} of {message.datatype} and shape {list(message.shape)} "
            f"takes {size}{besides}",
        )
    if message.datatype == TEXT:
        return texts.of_elements(f"{field}.contents.{name}", values)
    try:
        # From a list numpy refuses what does not fit; from protobuf's own container it would wrap around.
        return np.array(list(values), dtype)
    except OverflowError as error:
        raise Invalid.field(
            f"{field}.contents.{name}", f"holds a number that {message.datatype} cannot: {error}"
        ) from None


def _text(parameters: Parameters, name: str) -> str:
    if name not in parameters:
        return ""
    kind = parameters[name].WhichOneof("parameter_choice")
    if kind != "string_param":
        raise Invalid.field(f"parameters.{name}", f"is given as {kind}; it must be a string_param")
    return parameters[name].string_param


def _whole(parameters: Parameters, name: str) -> int:
    if name not in parameters:
        return 0
    kind = parameters[name].WhichOneof("parameter_choice")
    if kind not in ("int64_param", "uint64_param"):
        raise Invalid.field(f"parameters.{name}", f"is given as {kind}; it must be an int64_param")
    value = int(getattr(parameters[name], kind))
    if value >= 1 << 63:
        raise Invalid.field(f"parameters.{name}", f"is {value}; it must fit into 64 bits with a sign")
    return value


def to_message(response: Response, *, raw: bool) -> pb.ModelInferResponse:
    """The answer; `raw` puts the outputs' bytes beside the tensors, as a request with raw inputs wants it."""
    message = pb.ModelInferResponse(model_name=response.deployment, model_version=response.version, id=response.id)
    for name, text in response.parameters().items():
        message.parameters[name].string_param = text
    for tensor in response.outputs:
        output = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if raw or tensor.datatype == "FP16":
            message.raw_output_contents.append(tensor.binary())
        elif tensor.datatype == TEXT:
            output.contents.bytes_contents.extend(text.encode() for text in tensor.values.tolist())
        else:
            getattr(output.contents, CONTENTS[tensor.datatype]).extend(tensor.values.tolist())
    return message


def to_metadata(described: Described) -> pb.ModelMetadataResponse:
    """What a model takes and gives."""
    return pb.ModelMetadataResponse(
        name=described.name,
        versions=described.versions,
        platform=described.platform,
        inputs=_specs(described.signature.inputs),
        outputs=_specs(described.signature.outputs),
        properties=described.properties(),
    )


def _specs(specs: Sequence[TensorSpec]) -> list[pb.ModelMetadataResponse.TensorMetadata]:
    return [
        pb.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=shape_of(spec))
        for spec in specs
    ]


def to_config(described: Described) -> pb.ModelConfig:
    """What Triton's configuration says of a model, as far as a model here has it."""
    config = pb.ModelConfig(
        name=described.name, platform=described.platform, backend=described.platform, max_batch_size=MAX_ROWS
    )
    for spec in described.signature.inputs:
        config.input.add(name=spec.name, data_type=_data_type(spec), dims=shape_of(spec)[1:])
    for spec in described.signature.outputs:
        config.output.add(name=spec.name, data_type=_data_type(spec), dims=shape_of(spec)[1:])
    return config


def _data_type(spec: TensorSpec) -> pb.DataType.ValueType:
    return pb.DataType.Value(type_of(spec))


def type_of(spec: TensorSpec) -> str:
    """Triton's name of a datatype."""
    return "TYPE_STRING" if spec.datatype == TEXT else f"TYPE_{spec.datatype}"


def to_statistics(one: Statistics) -> pb.ModelStatistics:
    """What one version answered."""
    total = one.total
    return pb.ModelStatistics(
        name=one.name,
        version=one.version,
        last_inference=one.last_ms,
        inference_count=one.rows,
        execution_count=total.answered,
        inference_stats=pb.InferStatistics(
            success=pb.StatisticDuration(count=total.answered, ns=round(total.answered_s * 1e9)),
            fail=pb.StatisticDuration(count=total.failed, ns=round(total.failed_s * 1e9)),
        ),
    )


def choice_of(parameter: pb.ModelRepositoryParameter) -> object:
    """What a parameter of the repository holds, None when nothing."""
    kind = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, kind) if kind else None


def shape_of(spec: TensorSpec) -> list[int]:
    """A tensor's shape as the metadata tells it: -1 rows, then the columns."""
    return [-1, spec.width] if spec.columns or not spec.shape else [-1, *spec.shape[1:]]
