"""Pipelines of Hugging Face keep what every runtime of texts promises; run where transformers is installed.

The models are tiny and of random weights, for there is no hub: a vocabulary of words, two layers of 32.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from modelog_common.domain.errors import Invalid, NotAllowed
from modelog_serving.deployment.signature import Signature, TensorSpec
from text_suite import DEVICE, TEXTS, TextCase, TextRuntimeSuite, from_a_process_of_its_own

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, *["the", "flight", "is", "late", "on", "time", "rain", "and", "wind", ",", "for", "ice"]]
SMALL = {"vocab_size": len(WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT = {**SMALL, "intermediate_size": 37, "max_position_embeddings": 24, "pad_token_id": 0}
TEXT = (TensorSpec("text", "BYTES", (-1,)),)
LABEL = TensorSpec("label", "BYTES", (-1,))
SCORE = TensorSpec("score", "FP64", (-1,))
LABELS = {0: "late", 1: "on time", 2: "cancelled"}


def tokenizer() -> Any:
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, **names)


@cache
def pipeline(task: str) -> Any:
    torch.manual_seed(3)
    config = transformers.BertConfig(**BERT)
    if task == "text-classification":
        config = transformers.BertConfig(**BERT, id2label=LABELS, label2id={name: n for n, name in LABELS.items()})
        model = transformers.BertForSequenceClassification(config)
    elif task == "fill-mask":
        model = transformers.BertForMaskedLM(config)
    elif task == "feature-extraction":
        model = transformers.BertModel(config)
    else:
        gpt = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "bos_token_id": 2, "eos_token_id": 3}
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=len(WORDS), **gpt, pad_token_id=0))
        model.generation_config.max_new_tokens = 6
    return transformers.pipeline(task, model=model.eval(), tokenizer=tokenizer(), device=DEVICE.name)


def zipped(write: Callable[[Path], Any]) -> bytes:
    """What is written into a folder, as one file."""
    target = io.BytesIO()
    with TemporaryDirectory() as made, zipfile.ZipFile(target, "w") as packed:
        write(Path(made))
        for file in sorted(Path(made).rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(made))
    return target.getvalue()


@cache
def saved(task: str) -> bytes:
    return zipped(lambda folder: pipeline(task).save_pretrained(folder))


def case_of(task: str, outputs: tuple[TensorSpec, ...], answers: Callable[[Any], list[str | float]]) -> TextCase:
    def alone(row: Sequence[str]) -> list[str | float]:
        return answers(pipeline(task)(row[0]))

    return TextCase("transformers", saved(task), Signature(TEXT, outputs), alone)


def classification() -> TextCase:
    return case_of("text-classification", (LABEL, SCORE), lambda found: [found[0]["label"], found[0]["score"]])


class TestClassification(TextRuntimeSuite):
    @pytest.fixture
    def case(self) -> TextCase:
        return classification()


class TestLabelAlone(TextRuntimeSuite):
    """As MLflow signs a pipeline: one output of strings, without a name."""

    @pytest.fixture
    def case(self) -> TextCase:
        outputs = (TensorSpec("output", "BYTES", (-1,)),)
        return case_of("text-classification", outputs, lambda found: [found[0]["label"]])


class TestScoresOfAllLabels(TextRuntimeSuite):
    """In the order of the model's labels, and not of the scores."""

    @pytest.fixture
    def case(self) -> TextCase:
        def scores(row: Sequence[str]) -> list[str | float]:
            found = {each["label"]: each["score"] for each in pipeline("text-classification")(row[0], top_k=None)}
            return [found[name] for name in LABELS.values()]

        signature = Signature(TEXT, (TensorSpec("scores", "FP32", (-1, 3), tuple(LABELS.values())),))
        return TextCase("transformers", saved("text-classification"), signature, scores)


class TestPairs(TextRuntimeSuite):
    @pytest.fixture
    def case(self) -> TextCase:
        def answers(row: Sequence[str]) -> list[str | float]:
            (found,) = pipeline("text-classification")([{"text": row[0], "text_pair": row[1]}])
            return [found["score"], found["label"]]

        pair = (TensorSpec("pair", "BYTES", (-1, 2), ("text", "text_pair")),)
        texts = tuple(zip(TEXTS, reversed(TEXTS), strict=True))
        signature = Signature(pair, (SCORE, LABEL))
        return TextCase("transformers", saved("text-classification"), signature, answers, texts)


class TestEmbedding(TextRuntimeSuite):
    """The mean of the vectors that the pipeline gives for the tokens."""

    @pytest.fixture
    def case(self) -> TextCase:
        outputs = (TensorSpec("embedding", "FP32", (-1, 32)),)

        def mean(found: Any) -> list[str | float]:
            vector: list[str | float] = np.array(found[0], np.float32).mean(axis=0, dtype=np.float64).tolist()
            return vector

        return case_of("feature-extraction", outputs, mean)


class TestFillMask(TextRuntimeSuite):
    @pytest.fixture
    def case(self) -> TextCase:
        outputs = (TensorSpec("token_str", "BYTES", (-1,)), TensorSpec("score", "FP32", (-1,)))
        made = case_of("fill-mask", outputs, lambda found: [found[0]["token_str"], found[0]["score"]])
        texts = tuple((f"{text} [MASK]",) for text in TEXTS)
        return TextCase(made.flavor, made.content, made.signature, made.answers, texts)


class TestGeneration(TextRuntimeSuite):
    @pytest.fixture
    def case(self) -> TextCase:
        def answers(row: Sequence[str]) -> list[str | float]:
            return [pipeline("text-generation")(row[0], do_sample=False)[0]["generated_text"]]

        outputs = (TensorSpec("generated_text", "BYTES", (-1,)),)
        return TextCase("transformers", saved("text-generation"), Signature(TEXT, outputs), answers)


def test_it_answers_from_a_process_of_its_own() -> None:
    from_a_process_of_its_own(classification())


def load(
    content: bytes = b"", approved: bool = False, inputs: Any = TEXT, outputs: Any = (LABEL, SCORE)
) -> Callable[[Sequence[str]], Any]:
    case = case_of("text-classification", (LABEL, SCORE), lambda found: found)
    model = case.load(content or None, signature=Signature(inputs, outputs), approved=approved)
    return lambda texts: model.predict(case.rows([(text,) for text in texts]))


def test_what_is_signed_otherwise_is_named() -> None:
    with pytest.raises(NotAllowed, match="takes one text, or the pair 'text' and 'text_pair'"):
        load(inputs=(TensorSpec("x", "FP32", (-1, 4)),))
    with pytest.raises(
        NotAllowed, match="names the output 'score' of INT64 .* there is 'label' of BYTES, 'score' of FP32"
    ):
        load(outputs=(LABEL, TensorSpec("score", "INT64", (-1,))))
    with pytest.raises(NotAllowed, match="answers with 3 numbers, its signature says 5"):
        load(outputs=(TensorSpec("scores", "FP32", (-1, 5)),))
    pair = (TensorSpec("pair", "BYTES", (-1, 2), ("text", "text_pair")),)
    with pytest.raises(NotAllowed, match="'feature-extraction', which takes one text, and not a pair"):
        load(saved("feature-extraction"), inputs=pair, outputs=(TensorSpec("e", "FP32", (-1, 32)),))


def test_a_text_that_is_too_long_is_refused_with_its_row() -> None:
    with pytest.raises(Invalid, match="inputs: row 1 has 32 tokens; this model takes up to 24"):
        load()(["late", "late " * 30])


def test_a_text_without_a_mask_is_refused() -> None:
    made = case_of("fill-mask", (TensorSpec("token_str", "BYTES", (-1,)),), lambda found: found)
    with pytest.raises(Invalid, match="hold what this model cannot take, in row 0: PipelineException: No mask_token"):
        made.load().predict(made.rows([("late",)]))


def pickled(folder: Path) -> None:
    """As older releases of transformers wrote it."""
    pipeline("text-classification").save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(pipeline("text-classification").model.state_dict(), folder / "pytorch_model.bin")


def test_weights_in_a_pickle_are_read_of_an_approved_version_only() -> None:
    content = zipped(pickled)
    with pytest.raises(NotAllowed, match=r"holds 'pytorch_model.bin', a pickle, .* have the version approved"):
        load(content)
    found = load(content, approved=True)(["late"])
    (expected,) = pipeline("text-classification")("late")
    assert found.tolist() == [[expected["label"], expected["score"]]]


def test_code_in_the_folder_never_runs() -> None:
    def with_code(folder: Path) -> None:
        pipeline("text-classification").save_pretrained(folder)
        (folder / "modeling_own.py").write_text("raise SystemExit('it ran')\n")
        config = folder / "config.json"
        own = '{"auto_map": {"AutoModelForSequenceClassification": "modeling_own.Own"}, "model_type": "own", '
        config.write_text(config.read_text().replace('"model_type": "bert"', '"old": 1').replace("{", own, 1))

    for approved in (False, True):
        with pytest.raises(NotAllowed, match="the model file cannot be read as a pipeline of transformers"):
            load(zipped(with_code), approved=approved)


def test_an_architecture_of_no_task_here_is_named() -> None:
    def other(folder: Path) -> None:
        transformers.BertForQuestionAnswering(transformers.BertConfig(**BERT)).save_pretrained(folder)
        tokenizer().save_pretrained(folder)

    with pytest.raises(NotAllowed, match="is of the architecture BertForQuestionAnswering; served are"):
        load(zipped(other))


def test_a_folder_that_mlflow_wrote_is_served_as_it_is() -> None:
    import mlflow

    def logged(folder: Path) -> None:
        mlflow.transformers.save_model(pipeline("text-classification"), folder / "model", pip_requirements=[])

    found = load(zipped(logged))(["late", "on time"])
    expected = pipeline("text-classification")(["late", "on time"])
    assert found.tolist() == [[each["label"], each["score"]] for each in expected]
