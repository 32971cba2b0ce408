"""A contract made for these tests, with a field for every kind of rule."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import struct_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from modelog_proto.common.v1 import options_pb2

PACKAGE = "modelog.tests.rules"
TYPES = {
    "string": Field.TYPE_STRING, "bytes": Field.TYPE_BYTES, "int32": Field.TYPE_INT32, "uint64": Field.TYPE_UINT64,
    "double": Field.TYPE_DOUBLE, "bool": Field.TYPE_BOOL,
}  # fmt: skip
FIELDS: list[tuple[str, str, dict[str, Any]]] = [
    ("plain", "string", {}),
    ("name", "string", {"required": True, "max_length": 10}),
    ("short", "string", {"min_length": 3, "max_length": 5}),
    ("digits", "string", {"pattern": r"\d+", "pattern_help": "digits"}),
    ("bare_pattern", "string", {"pattern": "a|ab"}),
    ("raw", "bytes", {}),
    ("blob", "bytes", {"max_length": 4}),
    ("long_blob", "bytes", {"min_length": 2}),
    ("percent", "double", {"minimum": 0, "maximum": 100}),
    ("free_number", "double", {}),
    ("at_least", "int32", {"minimum": 1}),
    ("at_most", "uint64", {"maximum": 10}),
    ("maybe", "optional double", {"minimum": 1, "maximum": 1.5}),
    ("flag", "bool", {}),
    ("colour", "Colour", {}),
    ("must_colour", "Colour", {"required": True}),
    ("colours", "repeated Colour", {}),
    ("items", "repeated string", {"min_items": 1, "max_items": 3, "max_length": 4}),
    ("numbers", "repeated double", {"minimum": 0}),
    ("many", "repeated int32", {}),
    ("tags", "map string", {"max_items": 2, "max_length": 5}),
    ("scores", "map double", {"minimum": 0}),
    ("children", "repeated Inner", {"max_items": 30}),
    ("named", "map Inner", {}),
    ("one", "Inner", {"required": True}),
    ("again", "All", {}),
    ("json", "Struct", {}),
    ("at", "Timestamp", {}),
]


def contract() -> FileDescriptorProto:
    """`All`, which has every field of FIELDS, and `Inner`, which has a name that is required."""
    file = FileDescriptorProto(name="modelog_tests_rules.proto", package=PACKAGE, syntax="proto3")
    file.dependency.extend([
        options_pb2.DESCRIPTOR.name, struct_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name,
    ])  # fmt: skip
    colour = file.enum_type.add(name="Colour")
    for number, name in enumerate(["UNSPECIFIED", "RED", "GREEN"]):
        colour.value.add(name=name, number=number)
    inner = file.message_type.add(name="Inner")
    add_field(inner, "name", "string", {"required": True, "max_length": 10})
    whole = file.message_type.add(name="All")
    for name, kind, rules in FIELDS:
        add_field(whole, name, kind, rules)
    return file


def add_field(message: Any, name: str, kind: str, rules: dict[str, Any]) -> None:
    label, _, kind = kind.rpartition(" ")
    field = message.field.add(name=name, number=len(message.field) + 1)
    if label == "map":
        entry = message.nested_type.add(name=name.capitalize() + "Entry")
        entry.options.map_entry = True
        add_field(entry, "key", "string", {})
        add_field(entry, "value", kind, {})
        kind = f"All.{entry.name}"
    if label == "optional":
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")
    field.label = Field.LABEL_REPEATED if label in ("map", "repeated") else Field.LABEL_OPTIONAL
    if kind in TYPES:
        field.type = TYPES[kind]
    elif kind == "Colour":
        field.type, field.type_name = Field.TYPE_ENUM, f".{PACKAGE}.Colour"
    else:
        package = "google.protobuf" if kind in ("Struct", "Timestamp") else PACKAGE
        field.type, field.type_name = Field.TYPE_MESSAGE, f".{package}.{kind}"
    if rules:
        field.options.Extensions[options_pb2.rules].CopyFrom(options_pb2.Rules(**rules))


@pytest.fixture(scope="session")
def message_class() -> Any:
    """The class of `All`."""
    Default().AddSerializedFile(contract().SerializeToString())
    return GetMessageClass(Default().FindMessageTypeByName(f"{PACKAGE}.All"))
