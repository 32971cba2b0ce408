"""Whether a model file fits the signature that it was registered with: what all kinds of models have in common."""

from __future__ import annotations

from collections.abc import Sequence

from modelog_common.domain.errors import NotAllowed

from modelog_serving.deployment.signature import Signature


def check_features(count: int, names: Sequence[str], signature: Signature) -> None:
    """Raise NotAllowed when a file takes other features, or others first; `names` is empty where it has none."""
    features = signature.features
    if count != len(features):
        raise NotAllowed(f"the model file takes {count} features, its signature names {len(features)}")
    if not names or not any(spec.columns for spec in signature.inputs):
        return
    for number, (named, signed) in enumerate(zip(names, features, strict=True)):
        if named != signed:
            raise NotAllowed(
                f"feature {number} of the model file is {named!r}, its signature says {signed!r}; "
                "the columns of a signature stand in the model's own order"
            )


def check_width(width: int, signature: Signature) -> None:
    """Raise NotAllowed when a file answers a row with more or fewer numbers."""
    if width != signature.output_width:
        raise NotAllowed(
            f"the model file answers a row with {width} numbers, its signature says {signature.output_width}"
        )


def check_no_labels(numbers_of: str, signature: Signature) -> None:
    """Raise NotAllowed when a signature has labels over a file that answers otherwise: each would be cut to 0."""
    whole = next((spec for spec in signature.outputs if not spec.datatype.startswith("FP")), None)
    if whole is not None:
        raise NotAllowed(
            f"the model file answers with the numbers of {numbers_of}, its signature says {whole.datatype}: "
            "labels are not made of them here; sign it with FP32, as MLflow does when the booster itself is logged "
            "(get_booster(), booster_)"
        )
