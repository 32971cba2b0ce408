"""What a model of PyTorch, and a pipeline of texts, takes for a batch on the processor and on a GPU.

    python tests/bench/bench_torch_device.py [auto|cuda:N]

It needs torch, transformers, and the packages of serving and the SDK; without a GPU it measures the processor alone.
Each figure is the median of at most TIMES calls of `Isolated.predict`, which is how serving asks: the rows' way to the
model's process, onto the GPU and back, and the computing, until the answers are there. Nothing else ought to run
meanwhile; no peer does this.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import time
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers
from modelog.gpus import Gpus
from modelog_serving.deployment.signature import Signature, TensorSpec
from modelog_serving.engine.runtime import Matrix, Model
from modelog_serving.runtimes.find import LazyRuntimes
from modelog_serving.worker.limits import Device, Limits

ROWS = (1, 32, 256)
TEXTS = (1, 32)
WORDS = ("[PAD]", "[UNK]", "the", "flight", "is", "late", "on", "time", "rain", "and", "wind", "for", "ice")
TIMES, TIMED_S = 50, 4.0
MEMORY = "gpu_0_memory_usage_megabytes"


class Wide(torch.nn.Module):
    """512 numbers, three layers of 4,096: 36 million weights."""

    shape = (512,)

    def __init__(self) -> None:
        super().__init__()
        widths = (512, 4096, 4096, 4096)
        layers = [torch.nn.Linear(a, b) for a, b in pairwise(widths)]
        self.layers = torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.ReLU())))
        self.last = torch.nn.Linear(4096, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.layers(x))
        return found


class Pictures(torch.nn.Module):
    """Pictures of 3 x 32 x 32, six convolutions of 64 channels: 0.4 billion multiplications each."""

    shape = (3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        channels = (3, *[64] * 6)
        layers = [torch.nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(channels)]
        self.layers = torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.ReLU())))
        self.last = torch.nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.layers(x).mean((2, 3)))
        return found


def exported(kind: Any) -> bytes:
    torch.manual_seed(7)
    rows = torch.export.Dim("rows")
    program = torch.export.export(kind().eval(), (torch.zeros(4, *kind.shape),), dynamic_shapes=({0: rows},))
    target = io.BytesIO()
    torch.export.save(program, target)
    return target.getvalue()


def pipeline() -> bytes:
    """A classification of texts as large as BERT's base (86 million weights), as one file; the weights are random."""
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    torch.manual_seed(7)
    model = transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=len(WORDS))).eval()
    target = io.BytesIO()
    with TemporaryDirectory() as made, zipfile.ZipFile(target, "w") as packed:
        transformers.pipeline("text-classification", model=model, tokenizer=tokenizer).save_pretrained(made)
        for file in sorted(Path(made).iterdir()):
            packed.write(file, file.name)
    return target.getvalue()


def timed_ms(model: Model, rows: Matrix) -> float:
    for _ in range(3):
        model.predict(rows)
    took, until = list[float](), time.perf_counter() + TIMED_S
    while len(took) < TIMES and (len(took) < 3 or time.perf_counter() < until):
        began = time.perf_counter()
        model.predict(rows)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


@dataclass(frozen=True)
class Case:
    """`rows` are as many as are asked at most, `sizes` how many of them at once."""

    name: str
    flavor: str
    content: bytes
    signature: Signature
    rows: Matrix
    sizes: Sequence[int]


def of_numbers(kind: Any) -> Case:
    signature = Signature((TensorSpec("x", "FP32", (-1, *kind.shape)),), (TensorSpec("y", "FP32", (-1, 10)),))
    draw = np.random.default_rng(0).normal(size=(max(ROWS), int(np.prod(kind.shape)))).astype(np.float32)
    return Case(kind.__name__, "pytorch", exported(kind), signature, draw, ROWS)


def of_texts() -> Case:
    """20 words each."""
    signature = Signature((TensorSpec("text", "BYTES", (-1,)),), (TensorSpec("y", "FP32", (-1, 2)),))
    draw = np.random.default_rng(0).choice(WORDS[2:], size=(max(TEXTS), 20))
    texts: Any = np.array([" ".join(words) for words in draw], object).reshape(-1, 1)
    return Case("Texts", "transformers", pipeline(), signature, texts, TEXTS)


def measured(case: Case, device: str, threads: int) -> Sequence[float]:
    """Milliseconds for each of the sizes; what loading took and held is printed."""
    before, began = Gpus().sample().get(MEMORY, 0.0), time.perf_counter()
    runtime = LazyRuntimes(threads, Limits(device=Device(device))).of(case.flavor)
    model = runtime.load(case.content, case.signature, True)
    loaded_s, held = time.perf_counter() - began, Gpus().sample().get(MEMORY, 0.0) - before
    found = [timed_ms(model, case.rows[:rows]) for rows in case.sizes]
    print(
        f"{case.name:9} {device:7} {threads:2} threads   "
        + "   ".join(
            f"{rows:3} rows {ms:8.2f} ms {rows / ms * 1e3:9,.0f} rows/s"
            for rows, ms in zip(case.sizes, found, strict=True)
        )
        + f"   loaded in {loaded_s:.1f} s, {held:,.0f} MB of the GPU",
        flush=True,
    )
    return found


def main() -> None:
    warnings.filterwarnings("ignore")
    wanted = sys.argv[1] if len(sys.argv) > 1 else "auto"
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    cores = len(os.sched_getaffinity(0))
    print(f"PyTorch {torch.__version__}, {gpu or 'no GPU'}, {cores} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    for case in (of_numbers(Wide), of_numbers(Pictures), of_texts()):
        alone = measured(case, "cpu", 1)
        measured(case, "cpu", cores)
        if gpu:
            there = measured(case, wanted, 1)
            print("          times one thread:", ", ".join(f"{a / b:.1f}" for a, b in zip(alone, there, strict=True)))


if __name__ == "__main__":
    main()
