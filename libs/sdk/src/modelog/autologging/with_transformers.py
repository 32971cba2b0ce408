"""Hugging Face's trainer: its arguments, what it logs by step, and the model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches


def watch(patches: Patches, fits: Fits) -> None:
    """Watch `train` of every trainer."""
    import transformers

    def train(original: Callable[..., Any], trainer: Any, *rest: Any, **named: Any) -> Any:
        with fits.fit() as fit:
            if fit is None:
                return original(trainer, *rest, **named)
            callback = _callback(transformers, fit)
            trainer.add_callback(callback)
            fit.params(trainer.args.to_sanitized_dict())
            try:
                result = original(trainer, *rest, **named)
            finally:
                trainer.remove_callback(callback)
            if fit.keeps_models:
                _save(fit, trainer)
            return result

    patches.around(transformers.Trainer, "train", train)


def _callback(transformers: Any, fit: Fit) -> Any:
    class Logs(transformers.TrainerCallback):  # type: ignore[misc]
        def on_log(
            self, args: Any, state: Any, control: Any, logs: Optional[Mapping[str, Any]] = None, **_: Any
        ) -> None:
            for name, value in (logs or {}).items():
                if isinstance(value, (int, float)):
                    fit.metric(name, value, state.global_step)

    return Logs()


def _save(fit: Fit, trainer: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="modelog-") as folder:
        trainer.save_model(folder)
        for file in sorted(Path(folder).rglob("*")):
            if file.is_file():
                fit.keep(f"model/{file.relative_to(folder).as_posix()}", file)
