"""What the data plane's core is asked and what it answers, whichever edge it came by, and what a request may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelog_common.domain.errors import Invalid

from modelog_serving.deployment.signature import Signature
from modelog_serving.engine.explain import Explanation, Wanted
from modelog_serving.oip.explaining import parameters_of
from modelog_serving.oip.tensors import Tensor
from modelog_serving.predlog.answers import Answerer

MAX_ID = 200
# As modelog.gateway.v1.EraseSubjectRequest takes them.
MAX_SUBJECT = 100
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]*")


@dataclass(frozen=True)
class Request:
    """An inference request.

    `version` is empty for traffic; a given version scores without the split and without being logged. `key` decides
    which variant answers; without one the prediction id does, or the request's id, or chance. The same
    `prediction_id` again is answered from the log. `event_time_us` is 0 for now. `explain` asks for contributions.
    Texts are logged sealed with the key of the `subject` that is named, whom they are about.
    """

    deployment: str
    inputs: Sequence[Tensor]
    version: str = ""
    id: str = ""
    key: str = ""
    prediction_id: str = ""
    event_time_us: int = 0
    outputs: Sequence[str] = ()
    explain: Wanted | None = None
    subject: str = ""


@dataclass(frozen=True)
class Response:
    """What is answered, by which version; `prediction_ids` is empty for what is not logged.

    `outputs` ends with the tensors of `explanation`, where there is one. `cached` says that no model was asked.
    `fallback` says why something else answered than the version `instead_of`; both are empty where that did.
    """

    deployment: str
    id: str
    version: str
    digest: str
    prediction_ids: Sequence[str]
    outputs: Sequence[Tensor]
    explanation: Explanation | None = None
    cached: bool = False
    fallback: str = ""
    instead_of: str = ""

    def parameters(self) -> dict[str, str]:
        """The parameters that travel with the response; many prediction ids are separated by commas."""
        told = {"version": self.version, "model_digest": self.digest}
        if len(self.prediction_ids) == 1:
            told["prediction_id"] = self.prediction_ids[0]
        elif self.prediction_ids:
            told["prediction_ids"] = ",".join(self.prediction_ids)
        if self.cached:
            told["cached"] = "true"
        if self.fallback:
            told |= {"fallback": self.fallback, "instead_of": self.instead_of}
        return told | parameters_of(self.explanation) if self.explanation is not None else told


@dataclass(frozen=True)
class Described:
    """A deployment, or one version under its name, as the metadata calls show it."""

    name: str
    model: str
    versions: Sequence[str]
    platform: str
    signature: Signature

    def properties(self) -> dict[str, str]:
        """What the protocol has no field for: the registry's name of the model, and the input columns as JSON."""
        return {"model": self.model, "columns": json.dumps(self.signature.features)}


def check(request: Request) -> None:
    for name, text in (("id", request.id), ("key", request.key), ("prediction_id", request.prediction_id)):
        if len(text) > MAX_ID:
            field = name if name == "id" else f"parameters.{name}"
            raise Invalid.field(field, f"has {len(text)} characters; at most {MAX_ID} are allowed")
    if "," in request.prediction_id:
        raise Invalid.field("parameters.prediction_id", f"{request.prediction_id!r} has a comma, which is not allowed")
    if request.event_time_us < 0:
        raise Invalid.field("parameters.event_time_us", f"is {request.event_time_us}; it must not be negative")
    subject = request.subject
    if subject and (len(subject) > MAX_SUBJECT or not _SUBJECT.fullmatch(subject)):
        raise Invalid.field(
            "parameters.subject",
            f"{subject[:40]!r} is not allowed; allowed are up to {MAX_SUBJECT} letters, digits, '.', '_', '@', ':' and "
            "'-', starting with a letter or digit",
        )


def check_texts(request: Request, texts: str) -> None:
    """`texts` is what the model takes or gives of texts, "" for nothing; raises Invalid for what goes not with that."""
    if request.explain is not None and texts:
        raise Invalid.field("parameters.explain", f"explains numbers; this model has the texts {texts!r}")
    if request.subject and not texts:
        raise Invalid.field(
            "parameters.subject",
            "is whose key texts are sealed with in the prediction log; this model takes and gives numbers alone, which "
            "are not sealed: leave it out",
        )


def check_answerer(answerer: Answerer, asked: Answerer) -> None:
    if answerer.digest != asked.digest:
        raise Invalid.field(
            "parameters.explain",
            f"this prediction id was answered by version {answerer.version}, and {asked.version} would explain it; "
            f"ask for version {answerer.version}",
        )
