"""Where PyTorch computes: on the processor, or on one of NVIDIA's GPUs, there as exactly as float32 allows.

https://docs.pytorch.org/docs/stable/notes/cuda.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from modelog_common.domain.errors import NotAllowed

from modelog_serving.engine.failed import DIED, ModelDied, ModelFailed
from modelog_serving.worker.limits import TORCH_DEVICE, Device

MEMORY = f"{TORCH_DEVICE}_MEMORY_MB"
# Some of CUDA's libraries have errors of their own for it.
NO_MEMORY = ("out of memory", "ALLOC_FAILED")
T = TypeVar("T")


class TorchDevice:
    """The place that the settings name; raises NotAllowed when it is not there."""

    def __init__(self, wanted: Device) -> None:
        self.is_gpu, self.at = False, torch.device("cpu")
        if wanted.name == "cpu":
            return
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if wanted.name == "auto" and not count:
            return
        number = int(wanted.name.partition(":")[2] or 0)
        if number >= count:
            raise NotAllowed(f"{TORCH_DEVICE} is {wanted.name!r}, and {_seen(count)}")
        self.is_gpu, self.at = True, torch.device("cuda", number)
        self._most_bytes = wanted.memory_bytes
        # By default convolutions take 10 bits of a number's 23, and a sum may have another order each time.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
        if self._most_bytes:
            total = torch.cuda.get_device_properties(self.at).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, self._most_bytes / total), self.at)

    def hold(self, move: Callable[[Any], T]) -> T:
        """What `move` makes of the place; raises NotAllowed when that does not fit into its memory."""
        try:
            return self.done(lambda: move(self.at), "the model")
        except ModelFailed as error:
            raise NotAllowed(f"the model file cannot be loaded: {error}") from None

    def done(self, compute: Callable[[], T], what: str) -> T:
        """What is computed, when it is: a GPU works on while Python goes on.

        Raises ModelFailed where `what` is too much for the GPU's memory, and ModelDied where the GPU lets this process
        compute no more, as after an index that is out of range; everything else as it is raised.
        """
        if not self.is_gpu:
            return compute()
        try:
            found = compute()
            torch.cuda.synchronize(self.at)
            return found
        except RuntimeError as error:
            if not any(words in str(error) for words in NO_MEMORY):
                self._look_whether_it_is_lost(error)
                raise
        # Only here is let go of what the error's frames held.
        torch.cuda.empty_cache()
        raise ModelFailed(self._too_large(what))

    def _look_whether_it_is_lost(self, error: RuntimeError) -> None:
        try:
            torch.cuda.synchronize(self.at)
        except RuntimeError:
            raise ModelDied(
                DIED, f"the model cannot use {self.at} any more, and is loaded anew: {_reason(error)}"
            ) from None

    def _too_large(self, what: str) -> str:
        free, total = torch.cuda.mem_get_info(self.at)
        own = torch.cuda.memory_allocated(self.at)
        most = f"up to {self._most_bytes >> 20} MiB ({MEMORY})" if self._most_bytes else "all of it"
        return (
            f"{what} is too much for the memory of {self.at}: of its {total >> 20} MiB {free >> 20} are free, "
            f"the model holds {own >> 20} MiB and may use {most}"
        )


def _reason(error: RuntimeError) -> str:
    """TorchScript says first where it was, and CUDA's words only later."""
    lines = str(error).splitlines() or [type(error).__name__]
    return next((line for line in lines if "CUDA" in line), lines[0])[:300]


def _seen(count: int) -> str:
    allowed = ["auto", "cpu", *(f"cuda:{number}" for number in range(count))]
    if torch.version.cuda is None:
        why = f"PyTorch {torch.__version__} was built without CUDA"
    elif not count:
        why = f"PyTorch {torch.__version__} sees no GPU here"
    else:
        why = f"the GPUs here end with cuda:{count - 1}"
    return f"{why}; allowed here are {', '.join(allowed)}"
