"""Runs models of PyTorch: exported programs (.pt2), TorchScript and pickled modules, of approved versions only.

All three may run code when they are read: https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from modelog_common.domain.errors import NotAllowed
from torch.export.passes import move_to_device_pass

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.failed import NeedsApproval, NoRuntime
from modelog_serving.engine.runtime import AnyArray, Matrix
from modelog_serving.runtimes.feeds import Feed, WrongAnswer, feeds_of, first_line, joined
from modelog_serving.runtimes.fitting import check_width
from modelog_serving.runtimes.table import not_taken
from modelog_serving.runtimes.torch_device import TorchDevice
from modelog_serving.worker.limits import CPU, TORCH_DEVICE, Device

HOW = (
    "have the version approved by somebody else and promoted to staging, for then its file may run code; or convert "
    "it to ONNX, which needs no approval"
)
EXPORT = "write the model with torch.export.save, or with torch.jit.save"


@dataclass(frozen=True)
class Module:
    """`call` takes the tensors of `feeds`, in their order, on its device."""

    call: Callable[..., Any]
    feeds: Sequence[Feed]
    names: Sequence[str]
    device: TorchDevice

    def predict(self, rows: Matrix) -> Matrix:
        """Raises Invalid for rows that the module cannot take, and what `TorchDevice.done` does."""
        try:
            tensors = [torch.from_numpy(feed.of(rows)) for feed in self.feeds]
            found = self.device.done(lambda: self._called(tensors), f"a batch of {len(rows)} rows")
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            raise not_taken(rows, error) from error
        return joined(_parts(found, self.names), len(rows))

    def _called(self, tensors: Sequence[Any]) -> Any:
        with torch.inference_mode():
            return self.call(*(tensor.to(self.device.at) for tensor in tensors))


class TorchRuntime:
    """The adapter for flavor "pytorch"; `threads` is how many threads one prediction uses on the processor."""

    def __init__(self, threads: int = 1, device: Device = CPU) -> None:
        self._device = device
        torch.set_num_threads(threads)

    def load(self, content: bytes, signature: Signature, approved: bool) -> Module:
        read, device = _read(content, approved), TorchDevice(self._device)
        call = device.hold(partial(_on, read))
        made = Module(call, feeds_of(signature), [spec.name for spec in signature.outputs], device)
        width = 0
        for rows in (1, 3):
            try:
                width = made.predict(np.zeros((rows, len(signature.features)), np.float32)).shape[1]
            except Exception as error:  # whatever the module raises
                raise NotAllowed(
                    f"the model file does not answer {rows} rows of zeros: {first_line(error)}; an exported program "
                    f"must leave the number of rows open, by dynamic_shapes{_where(device)}"
                ) from error
        check_width(width, signature)
        return made


def _where(device: TorchDevice) -> str:
    """What may be the reason, too: programs name places."""
    return (
        f"; it was asked on {device.at}, as {TORCH_DEVICE} says, and may answer with it set to cpu"
        if device.is_gpu
        else ""
    )


def _on(read: Any, place: Any) -> Callable[..., Any]:
    """What was read, to be called on a device."""
    if isinstance(read, torch.export.ExportedProgram):
        moved = read if place.type == "cpu" else move_to_device_pass(read, place)
        program: Callable[..., Any] = moved.module()
        return program
    module: Callable[..., Any] = read.to(place).eval()
    return module


def _read(content: bytes, approved: bool) -> Any:
    """An exported program, or a module, on the processor."""
    kind = _kind(content)
    if not approved:
        raise NeedsApproval(f"the model file is {kind}, and reading it may run code: {HOW}")
    try:
        if kind == "an exported program":
            return torch.export.load(io.BytesIO(content))
        if kind == "TorchScript":
            return torch.jit.load(io.BytesIO(content), map_location="cpu")
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise NoRuntime(f"the model file needs the package {error.name!r}, which this server lacks") from error
    except Exception as error:  # whatever the classes in the file raise
        raise NotAllowed(f"the model file cannot be read as {kind}: {first_line(error)}") from error
    if isinstance(found, torch.nn.Module):
        return found
    if isinstance(found, Mapping):
        raise NotAllowed(f"the model file holds weights by name, and not the model that they belong to: {EXPORT}")
    raise NotAllowed(f"the model file holds a {type(found).__name__}, which is no module: {EXPORT}")


def _kind(content: bytes) -> str:
    if _is_safetensors(content):
        raise NotAllowed(f"the model file is of safetensors: it holds weights, and not the model: {EXPORT}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = [name.partition("/")[2] for name in packed.namelist()]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise NotAllowed(f"the model file is none of PyTorch, or is damaged: {error}") from error
    if "archive_format" in names:
        return "an exported program"
    if any(name.startswith("code/") for name in names):
        return "TorchScript"
    if "data.pkl" in names:
        return "a pickle"
    raise NotAllowed("the model file is a zip file, but none that PyTorch wrote")


def _is_safetensors(content: bytes) -> bool:
    """The length of a JSON header comes first, of less than 100 MB: https://huggingface.co/docs/safetensors"""
    size = int.from_bytes(content[:8], "little")
    return len(content) > 10 and content[8:9] == b"{" and 2 <= size <= min(len(content) - 8, 100_000_000)


def _parts(found: Any, names: Sequence[str]) -> list[AnyArray]:
    """A tensor, several in the signature's order, or by its names."""
    if isinstance(found, Mapping):
        missing = [name for name in names if name not in found]
        if (missing and len(missing) < len(names)) or len(found) < len(names):
            raise WrongAnswer(f"it answered with {', '.join(map(str, found))}, and not with {missing[0]!r}")
        found = list(found.values()) if missing else [found[name] for name in names]
    tensors = list(found) if isinstance(found, (tuple, list)) else [found]
    if not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        raise WrongAnswer(f"it answered with {type(tensors[0]).__name__}, and not with tensors")
    return [tensor.detach().cpu().numpy() for tensor in tensors]


runtime = TorchRuntime
