"""Keras 3: parameters, the metrics of each epoch, the model and its summary."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Optional

from modelog.autologging.fits import Fit, Fits
from modelog.autologging.patches import Patches


def watch(patches: Patches, fits: Fits) -> None:
    """Watch `fit` of every model."""
    import keras

    def fit_method(original: Callable[..., Any], model: Any, *data: Any, **named: Any) -> Any:
        with fits.fit() as fit:
            if fit is None:
                return original(model, *data, **named)
            callbacks = named.pop("callbacks", None) or []
            callbacks = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
            fit.params(_params(model, named))
            history = original(model, *data, callbacks=[*callbacks, _callback(keras, fit)], **named)
            fit.text("model_summary.txt", _summary(model))
            fit.model("model.keras", model.save)
            return history

    patches.around(keras.Model, "fit", fit_method)


def _params(model: Any, named: Mapping[str, Any]) -> Mapping[str, Any]:
    told = {
        name: named[name] for name in ("batch_size", "epochs", "validation_split", "steps_per_epoch") if name in named
    }
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        told.update({f"optimizer_{name}": value for name, value in optimizer.get_config().items()})
    return {**told, "loss": model.loss, "parameters": model.count_params()}


def _callback(keras: Any, fit: Fit) -> Any:
    class Epochs(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Optional[Mapping[str, Any]] = None) -> None:
            for name, value in (logs or {}).items():
                fit.metric(name, value, epoch)

    return Epochs()


def _summary(model: Any) -> str:
    lines: List[str] = []
    model.summary(print_fn=lines.append)
    return "\n".join(lines) + "\n"
