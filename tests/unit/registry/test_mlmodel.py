"""What an MLmodel file and the files beside it tell, also when somebody wrote them who means no good."""

from __future__ import annotations

import json

import pytest
from modelog_registry.mlmodel.environment import environment_in
from modelog_registry.mlmodel.signature import signature_in
from modelog_registry.mlmodel.told import Told, told_by
from modelog_registry.mlmodel.untrusted import NotRead, mapping_in
from modelog_registry.model.events import Environment
from modelog_registry.model.signature import Signature, Tensor

MLMODEL = b"""\
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: env/python.yaml}
    loader_module: mlflow.xgboost
    python_version: 3.11.9
  xgboost: {data: model.xgb, model_format: xgb, code: null, made: 2026-01-01}
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}, {"type": "double", "name": "b", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1]}}]'
  params: null
"""
OUT = '[{"type": "long"}]'


def columns(*kinds: tuple[str, str]) -> str:
    return json.dumps([{"name": name, "type": kind} for name, kind in kinds])


def test_flavors_signature_and_files_are_told() -> None:
    assert told_by(MLMODEL) == Told(
        "xgboost",
        {
            "python_function": {
                "env": {"conda": "conda.yaml", "virtualenv": "env/python.yaml"},
                "loader_module": "mlflow.xgboost",
                "python_version": "3.11.9",
            },
            "xgboost": {"data": "model.xgb", "model_format": "xgb", "code": None, "made": "2026-01-01"},
        },
        "model.xgb",
        Signature((Tensor("input", "FP64", (-1, 2), ("a", "b")),), (Tensor("output", "FP32", (-1,)),)),
        {"requirements.txt": "requirements.txt", "conda.yaml": "conda.yaml", "python_env.yaml": "env/python.yaml"},
    )


def test_columns_of_several_types_are_a_tensor_each() -> None:
    found = signature_in({"inputs": columns(("n", "long"), ("who", "string"), ("ok", "boolean")), "outputs": OUT})
    assert found.inputs == (
        Tensor("n", "INT64", (-1, 1), ("n",)),
        Tensor("who", "BYTES", (-1, 1), ("who",)),
        Tensor("ok", "BOOL", (-1, 1), ("ok",)),
    )
    assert found.outputs == (Tensor("output", "INT64", (-1,)),)


def test_named_and_unnamed_arrays_keep_dtype_and_shape() -> None:
    spec = {"dtype": "uint8", "shape": [-1, 28, 28]}
    told = [{"type": "tensor", "name": "image", "tensor-spec": spec}, {"type": "tensor", "tensor-spec": spec}]
    found = signature_in({"inputs": json.dumps(told), "outputs": OUT})
    assert found.inputs == (Tensor("image", "UINT8", (-1, 28, 28)), Tensor("input-1", "UINT8", (-1, 28, 28)))


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (columns(("x", "object")), "has input 'x' of type 'object', which is no tensor"),
        (columns(("x", "long"), ("x", "long")), "'x' stands there twice"),
        ('[{"type": "tensor", "tensor-spec": {"dtype": "complex64", "shape": [-1]}}]', "of dtype 'complex64'"),
        ('[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": ["x"]}}]', "which is none"),
        ('[{"type": "tensor"}]', "neither dtype nor shape"),
        ("[", "inputs are not JSON"),
        ("[" * 100_000, "inputs are not JSON"),
        ('{"a": 1}', "inputs are no list"),
        ("[]", "has no inputs"),
        (columns(("x" * 201, "long"), ("y", "double")), "at most 200 are kept"),
    ],
)
def test_a_signature_that_has_no_place_here_is_said_and_costs_nothing_else(inputs: str, why: str) -> None:
    with pytest.raises(NotRead) as refused:
        signature_in({"inputs": inputs, "outputs": OUT})
    assert why in str(refused.value)
    told = told_by(b"flavors: {sklearn: {pickled_model: m.pkl}}\nsignature: " + json.dumps({"inputs": inputs}).encode())
    assert (told.flavor, told.its_file, told.signature) == ("sklearn", "m.pkl", None)
    assert told.missing[0].startswith("the signature ")


def test_without_a_signature_nothing_is_missing() -> None:
    assert told_by(b"flavors: {sklearn: {}}") == Told(
        "sklearn", {"sklearn": {}}, environment=told_by(b"a: 1").environment
    )


BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n".encode()
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = b"a: &a {k: v}\n" + b"".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}' if n > 1 else '*a'] * 9)}]}}\n".encode() for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (BOMB, "stands for more than 100000 parts"),
        (b"a: !!omap [" + b"{x: *b}, " * 3 + b"]", "is not YAML of plain values"),
        (b"a: &a [*a]", "refers to itself"),
        (MERGES, "is not YAML of plain values"),
        (b"a: " + b"[" * 500_000, "is nested more than 50 deep"),
        (b"a: [" + b"1," * 400_000 + b"]", "has more than 100000 parts"),
        (b"x" * (1024 * 1024 + 1), "at most 1048576 are read"),
        (b"a: !!python/object/apply:os.system [id]", "is not YAML of plain values"),
        (b"a: 2026-99-99", "is not YAML of plain values"),
        (b"\xff\xfe\x00", "is not YAML of plain values"),
        (b"a: [", "is not YAML of plain values"),
        (b"? [a]\n: b", "is not YAML of plain values"),
        (b"just text", "holds no mapping"),
        (b"", "holds no mapping"),
    ],
    ids=range(14),
)
def test_hostile_yaml_is_refused_at_a_bounded_cost(content: bytes, why: str) -> None:
    with pytest.raises(NotRead) as refused:
        mapping_in(content)
    assert why in str(refused.value)
    assert told_by(content).missing == (f"MLmodel {refused.value}",)


def test_what_json_has_no_number_for_is_text() -> None:
    sixties = b":1" * 100_000
    told = mapping_in(b"a: .nan\nb: 99999999999999999999\nc: 1" + sixties + b"\nd: [1, 2.5, true, null]\n")
    assert told["a"] == "nan"
    assert told["b"] == "99999999999999999999"
    assert told["c"] == "1" + sixties.decode()
    assert told["d"] == [1, 2.5, True, None]


def test_the_environment_is_what_mlflow_installs() -> None:
    files = {
        "conda.yaml": b"dependencies:\n- python=3.11.9\n- numpy=1.26=py311h_0\n- pip<=24\n- pip: [mlflow==2.22.5]\n",
        "python_env.yaml": b"python: 3.11.10\ndependencies: [-r requirements.txt]\n",
        "requirements.txt": b"# made by\nmlflow==3.17.2\nscikit-learn [x] == 1.9.1 ; python_version > '3'\nscipy>=1\n"
        b"-r other.txt\n./wheel.whl\nours @ https://elsewhere/x.whl\ntorch==2.*\n",
    }
    packages = {"mlflow": "3.17.2", "scikit-learn": "1.9.1", "scipy": "", "torch": ""}
    assert environment_in(files) == Environment("3.11.10", "", packages, "", "")
    del files["requirements.txt"], files["python_env.yaml"]
    assert environment_in(files) == Environment("3.11.9", "", {"numpy": "1.26", "pip": "", "mlflow": "2.22.5"}, "", "")
    assert environment_in({}) is None
    with pytest.raises(NotRead, match=r"conda.yaml is not YAML"):
        environment_in({"conda.yaml": b"["})
