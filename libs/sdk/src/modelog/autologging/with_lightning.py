"""PyTorch by way of Lightning: parameters of trainer and optimizers, the metrics of each epoch, and the weights."""

from __future__ import annotations

import sys
from typing import Any, Callable

from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches


def watch(patches: Patches, fits: Fits) -> None:
    """Watch trainers of `lightning`."""
    _watch(sys.modules["lightning.pytorch"], patches, fits)


def watch_the_older_name(patches: Patches, fits: Fits) -> None:
    """Watch trainers of `pytorch_lightning`."""
    _watch(sys.modules["pytorch_lightning"], patches, fits)


def _watch(package: Any, patches: Patches, fits: Fits) -> None:
    def fit_method(original: Callable[..., Any], trainer: Any, model: Any, *rest: Any, **named: Any) -> Any:
        with fits.fit() as fit:
            if fit is None:
                return original(trainer, model, *rest, **named)
            trainer.callbacks.append(_callback(package, fit))
            fit.params({"max_epochs": trainer.max_epochs, **dict(getattr(model, "hparams", {}))})
            try:
                result = original(trainer, model, *rest, **named)
            finally:
                trainer.callbacks.pop()
            fit.text("model_summary.txt", f"{model}\n")
            fit.model("model.ckpt", lambda file: trainer.save_checkpoint(file, weights_only=True))
            return result

    patches.around(package.Trainer, "fit", fit_method)


def _callback(package: Any, fit: Fit) -> Any:
    class Epochs(package.Callback):  # type: ignore[misc]
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            for number, optimizer in enumerate(trainer.optimizers):
                name = f"optimizer{number + 1}" if number else "optimizer"
                fit.params(
                    {name: type(optimizer).__name__, **{f"{name}_{k}": v for k, v in optimizer.defaults.items()}}
                )

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            for name, value in trainer.callback_metrics.items():
                fit.metric(name, value, trainer.current_epoch)

    return Epochs()
