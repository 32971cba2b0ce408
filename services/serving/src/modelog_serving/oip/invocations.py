"""What MLflow's scoring server takes at /invocations: a table or tensors in JSON, or CSV; to tensors of the model."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from modelog_common.domain.errors import Invalid

from modelog_serving.deployment.signature import TEXT, Signature, TensorSpec, column_names
from modelog_serving.oip.rest_codec import Cell, decoded, tensors_of
from modelog_serving.oip.tensors import DTYPES, MAX_ROWS, Tensor

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Split(msgspec.Struct):
    """pandas' orientation "split"."""

    columns: list[str]
    data: list[list[Any]]
    index: list[Any] = []


class Params(msgspec.Struct, forbid_unknown_fields=True):
    """What `params` may hold: what a request of the inference protocol has for parameters."""

    key: str = ""
    prediction_id: str = ""
    event_time_us: int = 0
    version: str = ""
    subject: str = ""


class InvocationsBody(msgspec.Struct, forbid_unknown_fields=True):
    """One of the four forms."""

    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | None = None
    inputs: list[Any] | dict[str, Any] | None = None
    params: Params | None = None


_BODY = msgspec.json.Decoder(InvocationsBody)


def body_of(content_type: str, body: bytes) -> tuple[InvocationsBody | str, Params]:
    """The body in JSON, or the text of a CSV; raises Invalid, naming what is wrong."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/csv":
        try:
            return body.decode("utf-8-sig"), Params()
        except UnicodeDecodeError as error:
            raise Invalid.field("body", f"is not UTF-8: {error}") from None
    if kind not in ("", "application/json"):
        raise Invalid.field("Content-Type", f"is {kind[:60]!r}; it must be application/json or text/csv")
    message: InvocationsBody = decoded(_BODY, body)
    given = [form for form in FORMS if getattr(message, form) is not None]
    if len(given) != 1:
        raise Invalid.field("body", f"has {' and '.join(given) or 'none of the forms'}; give one of {', '.join(FORMS)}")
    return message, message.params or Params()


def tensors_in(body: InvocationsBody | str, signature: Signature) -> list[Tensor]:
    """One tensor for each column of the signature; columns that it lacks are left out, as MLflow leaves them out."""
    if isinstance(body, str):
        return _of_csv(body, signature)
    if body.dataframe_split is not None:
        return _of_split(body.dataframe_split, signature)
    if body.dataframe_records is not None:
        return _of_records("dataframe_records", body.dataframe_records, signature)
    form = "instances" if body.instances is not None else "inputs"
    given: Any = body.instances if body.instances is not None else body.inputs
    if isinstance(given, dict):
        return _of_columns(form, given, signature)
    if given and all(isinstance(one, dict) for one in given):
        return _of_records(form, given, signature)
    return _of_rows(form, given, signature)


def _of_split(split: Split, signature: Signature) -> list[Tensor]:
    _check_rows("dataframe_split.data", len(split.data))
    places = _places("dataframe_split.columns", split.columns, signature)
    for number, row in enumerate(split.data):
        if len(row) != len(split.columns):
            raise Invalid.field(
                f"dataframe_split.data[{number}]", f"has {len(row)} values for {len(split.columns)} columns"
            )
    columns = {name: [row[place] for row in split.data] for name, place in places.items()}
    return tensors_of(signature, columns, lambda row, name: f"dataframe_split.data[{row}][{places[name]}]")


def _of_records(form: str, records: Sequence[Mapping[str, Any]], signature: Signature) -> list[Tensor]:
    _check_rows(form, len(records))
    for number, record in enumerate(records):
        missing = [name for name in signature.features if name not in record]
        if missing:
            raise Invalid.field(f"{form}[{number}]", f"has no column {missing[0]!r}; {_expected(signature)}")
    columns = {name: [record[name] for record in records] for name in signature.features}
    return tensors_of(signature, columns, lambda row, name: f"{form}[{row}].{name}")


def _of_rows(form: str, rows: list[Any], signature: Signature) -> list[Tensor]:
    """Rows of values in the order of the signature's columns; of one column, the values themselves."""
    _check_rows(form, len(rows))
    width = len(signature.features)
    table = [row if isinstance(row, list) else [row] for row in rows]
    for number, row in enumerate(table):
        if len(row) != width:
            raise Invalid.field(f"{form}[{number}]", f"has {len(row)} values; {_expected(signature)}")
    places = {name: place for place, name in enumerate(signature.features)}
    columns = {name: [row[place] for row in table] for name, place in places.items()}
    return tensors_of(signature, columns, lambda row, name: f"{form}[{row}][{places[name]}]")


def _of_columns(form: str, given: dict[str, Any], signature: Signature) -> list[Tensor]:
    """Lists by the names of columns, or of the signature's tensors, whose elements are rows."""
    columns: dict[str, list[Any]] = {}
    for spec in signature.inputs:
        if spec.name in given and spec.name not in column_names(spec):
            columns |= _of_tensor(f"{form}.{spec.name}", given[spec.name], spec)
            continue
        for name in column_names(spec):
            if name not in given:
                raise Invalid.field(form, f"has no column {name!r}; {_expected(signature)}")
            values = given[name] if isinstance(given[name], list) else [given[name]]
            # A column of lists with one value each is one, too.
            columns[name] = [v[0] if isinstance(v, list) and len(v) == 1 else v for v in values]
    rows = len(next(iter(columns.values())))
    _check_rows(form, rows)
    for name, values in columns.items():
        if len(values) != rows:
            raise Invalid.field(f"{form}.{name}", f"has {len(values)} values, the columns before it have {rows}")
    return tensors_of(signature, columns, lambda row, name: f"{form}.{name}[{row}]")


def _of_tensor(field: str, rows: object, spec: TensorSpec) -> dict[str, list[Any]]:
    names = column_names(spec)
    if not isinstance(rows, list):
        raise Invalid.field(field, "is not a list of rows")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise Invalid.field(f"{field}[{number}]", f"is not a list of {len(names)} values: {', '.join(names[:10])}")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _of_csv(text: str, signature: Signature) -> list[Tensor]:
    reader = csv.reader(io.StringIO(text))
    try:
        header, *lines = [line for line in reader if line] or [[]]
    except csv.Error as error:
        raise Invalid.field("body", f"is not CSV: {error}") from None
    _check_rows("body", len(lines))
    places = _places("body", header, signature)
    for number, line in enumerate(lines):
        if len(line) != len(header):
            raise Invalid.field(f"body, row {number}", f"has {len(line)} values for {len(header)} columns")
    columns = {
        name: [_cell(f"body, row {row}, column {name!r}", line[places[name]], spec) for row, line in enumerate(lines)]
        for spec in signature.inputs
        for name in column_names(spec)
    }
    return tensors_of(signature, columns, lambda row, name: f"body, row {row}, column {name!r}")


def _cell(field: str, text: str, spec: TensorSpec) -> Cell:
    """A number as the datatype has it, of which nothing is a missing value; or the text itself."""
    if spec.datatype == TEXT:
        return text
    kind, text = DTYPES[spec.datatype].kind, text.strip()
    try:
        if kind == "b":
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if kind != "f":
            return int(text)
        return float(text) if text else None
    except (KeyError, ValueError):
        raise Invalid.field(field, f"{text[:40]!r} is no {spec.datatype}") from None


def _places(field: str, names: Sequence[str], signature: Signature) -> dict[str, int]:
    """Where each of the signature's columns stands."""
    missing = [name for name in signature.features if name not in names]
    if missing:
        raise Invalid.field(field, f"has no column {missing[0]!r}; {_expected(signature)}")
    return {name: names.index(name) for name in signature.features}


def _check_rows(field: str, rows: int) -> None:
    if not 1 <= rows <= MAX_ROWS:
        raise Invalid.field(field, f"has {rows} rows; 1 to {MAX_ROWS} are allowed")


def _expected(signature: Signature) -> str:
    return f"expected are {', '.join(signature.features)}"
