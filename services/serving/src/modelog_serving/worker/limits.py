"""What the process of a model may take."""

from __future__ import annotations

from dataclasses import dataclass

# The setting that says where.
TORCH_DEVICE = "MODELOG_SERVING_TORCH_DEVICE"


@dataclass(frozen=True)
class Device:
    """Where PyTorch computes: "cpu", "cuda", "cuda:1" or "auto", which is a GPU where there is one; and how much of a
    GPU's memory a process may use, 0 for any."""

    name: str = "cpu"
    memory_bytes: int = 0


CPU = Device()


@dataclass(frozen=True)
class Limits:
    """Seconds for an answer and for loading; bytes of memory, 0 for any number; and where PyTorch computes."""

    predict_s: float = 30.0
    load_s: float = 300.0
    memory_bytes: int = 4 << 30
    device: Device = CPU
