"""Compiled trees are made once and mapped by whoever loads the same file, and answer as they do without it."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import xgboost
from mapped_rig import Kept, mapped_here, same_bits
from modelog_common.domain.errors import NotAllowed, Unavailable
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.choice import Chosen
from modelog_serving.engine.explain import Explains
from modelog_serving.engine.runtime import Model
from modelog_serving.runtimes import beside, xgboost_compiled, xgboost_mapped, xgboost_runtime
from modelog_serving.runtimes.beside import Beside
from modelog_serving.runtimes.made_file import add, finish, opened
from modelog_serving.runtimes.xgboost_library import Booster
from structlog.testing import capture_logs
from test_compiled_trees import ROWS, WIDTH, trained

pytestmark = pytest.mark.usefixtures("every_level")
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, WIDTH)),), (TensorSpec("late", "FP32", (-1,)),))
WAIT_S = 60


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path, "xgboost", bytes(trained("binary:logistic").save_raw("ubj")), SIGNATURE)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows whenever a model is read into the library's memory."""
    found = list[int]()

    def counted(content: bytes, threads: int) -> Booster:
        found.append(len(content))
        return Booster(content, threads)

    for module in (xgboost_runtime, xgboost_mapped):
        monkeypatch.setattr(module, "Booster", counted)
    return found


def engine(model: Model) -> str:
    assert isinstance(model, Chosen)
    return model.choice.engine


def test_the_second_who_loads_a_file_maps_what_the_first_made_of_it(kept: Kept, read: list[int]) -> None:
    first = kept.load()
    assert len(read) == 1
    (made,) = kept.made
    assert mapped_here(made)
    second, third = kept.load(), kept.load()
    assert len(read) == 1
    own = kept.by_itself()
    assert {engine(model) for model in (first, second, third, own)} == {"compiled trees"}
    for model in (first, second, third):
        assert same_bits(model, own, ROWS)
    del first, second, third, model
    gc.collect()
    assert not mapped_here(made)


@pytest.mark.parametrize("objective", ["multi:softprob", "count:poisson", "reg:squarederror"])
def test_models_of_other_objectives_answer_from_a_file_as_without(objective: str, tmp_path: Path) -> None:
    outputs = 3 if objective.startswith("multi") else 1
    content = bytes(trained(objective, **({"num_class": 3} if outputs == 3 else {})).save_raw("ubj"))
    signature = Signature(SIGNATURE.inputs, (TensorSpec("p", "FP32", (-1, outputs)),))
    kept = Kept(tmp_path, "xgboost", content, signature)
    kept.load()
    assert same_bits(kept.load(), kept.by_itself(), ROWS)


def test_a_signature_is_held_against_what_is_mapped_as_against_the_file(kept: Kept) -> None:
    kept.load()
    wrong = [
        Signature((TensorSpec("x", "FP32", (-1, 3)),), SIGNATURE.outputs),
        Signature(SIGNATURE.inputs, (TensorSpec("late", "FP32", (-1, 2)),)),
        Signature(SIGNATURE.inputs, (TensorSpec("late", "INT64", (-1,)),)),
    ]
    for signature in wrong:
        with pytest.raises(NotAllowed) as mapped:
            kept.load(signature=signature)
        with pytest.raises(NotAllowed) as read:
            Kept(kept.folder / "other", "xgboost", kept.content, signature).load()
        assert str(mapped.value) == str(read.value)


def flipped(made: Path) -> None:
    content = bytearray(made.read_bytes())
    content[len(content) // 2] ^= 1
    made.write_bytes(content)


def cut(made: Path) -> None:
    made.write_bytes(made.read_bytes()[:-7])


def answering_otherwise(made: Path) -> None:
    """Whole, but of other trees."""
    file = opened(made)
    about = msgspec.json.decode(file.about, type=xgboost_mapped.About)
    arrays = {name: np.array(values) for name, values in file.arrays(about.places).items()}
    arrays["leaves"][3] += 1
    with made.with_name("other").open("wb+") as target:
        finish(target, msgspec.json.encode(msgspec.structs.replace(about, places=add(target, arrays))))
    made.with_name("other").replace(made)


def lacking(made: Path) -> None:
    file = opened(made)
    about = msgspec.json.decode(file.about, type=xgboost_mapped.About)
    with made.open("wb+") as target:
        finish(target, msgspec.json.encode(msgspec.structs.replace(about, places=())))


def of_something_else(made: Path) -> None:
    with made.open("wb+") as target:
        finish(target, b"[]")


@pytest.mark.parametrize(
    "harm", [flipped, cut, lambda made: made.write_bytes(b""), answering_otherwise, lacking, of_something_else]
)
def test_a_file_that_is_not_what_it_should_be_is_made_again(
    harm: Callable[[Path], Any], kept: Kept, read: list[int]
) -> None:
    kept.load()
    (made,) = kept.made
    whole = made.read_bytes()
    harm(made)
    again = kept.load()
    assert len(read) == 2
    assert kept.made == [made]
    assert made.read_bytes() == whole
    assert same_bits(again, kept.by_itself(), ROWS)
    assert mapped_here(made)


def test_a_file_that_is_gone_is_made_again(kept: Kept, read: list[int]) -> None:
    first = kept.load()
    kept.made[0].unlink()
    assert same_bits(kept.load(), first, ROWS)
    assert len(kept.made) == 1
    assert len(read) == 2


def test_what_only_the_library_knows_is_read_when_it_is_asked_for(kept: Kept, read: list[int]) -> None:
    kept.load()
    model, own = kept.load(), kept.by_itself()
    read.clear()
    assert isinstance(model, Explains)
    assert isinstance(own, Explains)
    for _ in range(2):
        np.testing.assert_array_equal(model.contributions(ROWS[:5]), own.contributions(ROWS[:5]))
    assert len(read) == 1
    other = kept.load()
    kept.file.write_bytes(b"x" + kept.content[1:])
    assert isinstance(other, Explains)
    with pytest.raises(Unavailable, match="was damaged since the model was loaded"):
        other.contributions(ROWS[:5])
    kept.file.unlink()
    with pytest.raises(Unavailable, match=r"model's file .* cannot be read: No such file"):
        other.contributions(ROWS[:5])
    assert other.predict(ROWS).shape == (len(ROWS), 1)


def test_why_a_model_has_no_compiled_trees_is_looked_for_once(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = trained("reg:squarederror", depth=0, min_child_weight=0, reg_lambda=0)
    other = Kept(kept.folder, "xgboost", bytes(deep.save_raw("ubj")), SIGNATURE)
    first = other.load()
    # The library is not asked for its trees again.
    monkeypatch.setattr(Booster, "document", lambda _: pytest.fail("the trees were read again"))
    second = other.load()
    assert isinstance(second, Chosen)
    assert second.choice.engine == "xgboost"
    assert second.choice.why == "it has a tree deeper than 10"
    assert same_bits(first, second, ROWS)


def test_a_trial_believes_nothing_that_was_made_before(kept: Kept, read: list[int]) -> None:
    kept.load()
    model = kept.load(anew=True)
    assert len(read) == 2
    assert engine(model) == "compiled trees"
    assert len(kept.made) == 1
    kept.load()
    assert len(read) == 2


def test_trees_that_answer_otherwise_are_not_written_down(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    found = xgboost_compiled.trees_of

    def other(document: bytes) -> Any:
        trees = found(document)
        trees.leaves[0] += 1
        return trees

    monkeypatch.setattr(xgboost_compiled, "trees_of", other)
    assert engine(kept.load()) == "xgboost"
    assert kept.made == []


def test_other_code_makes_another_file_and_takes_the_place_of_the_former(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = kept.load()
    (former,) = kept.made
    monkeypatch.setattr(xgboost_mapped, "_made_by", lambda: "of-another-version")
    new = kept.load()
    assert [path.name for path in kept.made] == [f"{kept.file.name}.of-another-version.made"]
    assert former not in kept.made
    # Whoever has the former mapped goes on with it.
    assert same_bits(old, new, ROWS)


def test_a_disk_that_takes_no_file_leaves_each_process_its_own_arrays(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_folder: Path) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(beside, "new_file", full)
    with capture_logs() as logs:
        model = kept.load()
    assert "No space left on device" in next(entry["why"] for entry in logs if "is not kept" in entry["event"])
    assert engine(model) == "compiled trees"
    assert same_bits(model, kept.by_itself(), ROWS)
    assert [path.name for path in kept.folder.rglob("*") if path.is_file()] == [kept.file.name]


def test_who_comes_while_another_makes_a_file_waits_for_it(
    kept: Kept, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Kept(kept.folder / "elsewhere", "xgboost", kept.content, SIGNATURE)
    elsewhere.load()
    waits, read_before = threading.Event(), len(read)
    monkeypatch.setattr(beside.time, "sleep", lambda _: waits.set())
    found = list[Model]()
    late = threading.Thread(target=lambda: found.append(kept.load()))
    with Beside(kept.folder).turn(kept.file.name):
        late.start()
        assert waits.wait(WAIT_S), "the other process's turn was not waited for"
        (made,) = elsewhere.made
        made.rename(kept.file.with_name(made.name))
    late.join(WAIT_S)
    assert engine(found[0]) == "compiled trees"
    assert len(read) == read_before


def test_a_process_that_takes_too_long_is_not_waited_for(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = itertools.count(step=beside.PATIENCE_S)
    monkeypatch.setattr(beside.time, "monotonic", lambda: next(moments))
    with Beside(kept.folder).turn(kept.file.name):
        assert engine(kept.load()) == "compiled trees"
    assert len(kept.made) == 1


def test_what_was_made_of_a_file_goes_with_it(kept: Kept) -> None:
    other = Kept(kept.folder, "xgboost", bytes(trained("reg:squarederror").save_raw("ubj")), SIGNATURE)
    kept.load()
    other.load()
    left = kept.folder / ".incoming-abandoned"
    left.write_bytes(b"half of a file")
    kept.file.unlink()
    assert Beside(kept.folder).sweep() == 2
    assert [path.name.partition(".")[0] for path in kept.made] == [other.file.name]
    assert not left.exists()
    assert Beside(kept.folder / "not there").sweep() == 0


def test_a_tree_s_categories_stay_with_the_library_wherever_it_is_loaded(tmp_path: Path) -> None:
    draw = np.random.default_rng(4)
    codes = draw.integers(0, 9, (300, 1)).astype(np.float32)
    data = xgboost.DMatrix(codes, codes[:, 0] % 2, feature_types=["c"], enable_categorical=True)
    model = xgboost.train({"objective": "reg:squarederror", "max_cat_to_onehot": 1, "nthread": 1}, data, 3)
    signature = Signature((TensorSpec("x", "FP32", (-1, 1)),), SIGNATURE.outputs)
    kept = Kept(tmp_path, "xgboost", bytes(model.save_raw("ubj")), signature)
    assert {engine(kept.load()), engine(kept.load())} == {"xgboost"}


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None
from pathlib import Path
import msgspec, numpy
from modelog_serving.deployment.signature import Signature
from modelog_serving.runtimes.beside import Beside
from modelog_serving.runtimes.find import LazyRuntimes

file, folder, rows, signature = sys.argv[1:]
runtime = LazyRuntimes(1, beside=Beside(Path(folder))).of("xgboost")
model = runtime.load(Path(file).read_bytes(), msgspec.json.decode(signature, type=Signature), False)
print(model.choice.engine)
print(model.predict(numpy.load(rows)).tobytes().hex())
"""


@pytest.mark.parametrize("made_before", [False, True])
def test_where_numba_is_missing_the_library_answers(kept: Kept, tmp_path: Path, made_before: bool) -> None:
    if made_before:
        kept.load()
    rows = tmp_path / "rows.npy"
    np.save(rows, ROWS)
    arguments = [kept.file, kept.folder, rows, msgspec.json.encode(kept.signature).decode()]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    by, answers = done.stdout.split()[-2:]
    assert by == "xgboost"
    assert bytes.fromhex(answers) == Booster(kept.content, 1).predict(ROWS).tobytes()
