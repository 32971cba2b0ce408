"""ONNX models whose weights, as the library lays them out for this processor, lie in a file that all processes map.

The library optimizes a graph and packs its weights for the kernels that the processor has. It can write both down, and
map the packed weights later: https://github.com/microsoft/onnxruntime/pull/23069. A session of such a file answers to
the last bit as one of the model's own does, or the file is not kept.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import onnxruntime
import structlog

from modelog_serving.runtimes.beside import Beside, named_by
from modelog_serving.runtimes.made_file import finish

# A file may name others that hold its weights; there are none in here, whatever the file asks for.
NO_FOLDER = f"{os.devnull}/weights"
# Fewer weights are not worth a file.
LEAST_BYTES = 1 << 20
NO_WEIGHTS = f"it has less than {LEAST_BYTES} bytes of weights"
OTHERWISE = "with mapped weights it answers otherwise"
# For a session that finds what its file names in a folder.
Options = Callable[[str], Any]
log = structlog.get_logger()


class About(msgspec.Struct, frozen=True):
    """`model` is the graph, whose weights lie at the beginning of the file; or `unfit` says why it has none."""

    model: bytes = b""
    unfit: str = ""


class MappedSessions:
    """Finds and makes the files; `options` gives those that every session has."""

    def __init__(self, beside: Beside, options: Options) -> None:
        self._beside, self._options = beside, options

    def find(self, digest: str) -> tuple[Any | None, str]:
        """A session whose weights are mapped; or None, and why there can be none, "" where none was made yet."""
        file = self._beside.find(digest, _made_by())
        if file is None:
            return None, ""
        path = self._beside.path(digest, _made_by())
        try:
            about = msgspec.json.decode(file.about, type=About)
            if about.unfit:
                return None, about.unfit
            session = self._session(about.model, path.parent)
            # The library opened the file by its name: it must be the one that was looked at.
            if file.inode != path.stat().st_ino:
                return None, ""
        except Exception as error:  # the library has no class for its errors
            log.warning("weights that were made of a model's file are made again", file=str(path), why=str(error))
            return None, ""
        return session, ""

    def make(self, digest: str, content: bytes, same: Callable[[Any], bool]) -> None:
        """Write the file of a model that a session was made of; `same` says whether another session answers as that one
        does."""
        name = self._beside.path(digest, _made_by()).name
        with tempfile.TemporaryDirectory(prefix="modelog-model-") as made:
            weights, model = Path(made, name), Path(made, "model.onnx")
            self._written(content, model, weights.name)
            if not weights.exists() or weights.stat().st_size < LEAST_BYTES:
                self.unfit(digest, NO_WEIGHTS)
                return
            if not same(self._session(model.read_bytes(), weights.parent)):
                self.unfit(digest, OTHERWISE)
                return

            def write(file: BinaryIO) -> None:
                with weights.open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
                finish(file, msgspec.json.encode(About(model.read_bytes())))

            self._beside.keep(digest, _made_by(), write)

    def _session(self, model: bytes, folder: Path) -> Any:
        options = self._options(str(folder))
        # What can be done to the graph was done.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def _written(self, content: bytes, model: Path, weights: str) -> None:
        options = self._options(NO_FOLDER)
        options.optimized_model_filepath = str(model)
        for entry, value in (
            ("session.optimized_model_external_initializers_file_name", weights),
            ("session.save_external_prepacked_constant_initializers", "1"),
        ):
            options.add_session_config_entry(entry, value)
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def unfit(self, digest: str, why: str) -> None:
        """Write down why there are no mapped weights of a model, so that nobody tries again."""
        self._beside.keep(digest, _made_by(), lambda file: finish(file, msgspec.json.encode(About(unfit=why))))


@cache
def _made_by() -> str:
    code = Path(__file__).read_text()
    return named_by("onnx", onnxruntime.__version__, platform.machine(), _processor(), code)


def _processor() -> str:
    """What it is called, and what it can do: weights are packed for it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))
