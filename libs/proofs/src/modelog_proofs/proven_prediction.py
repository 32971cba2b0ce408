"""What a proof of a prediction proves, and how that reads."""

import json
import math
from dataclasses import dataclass
from typing import Any, List

from .leaf import EventRecord
from .prediction import PredictionRecord
from .proof import ProvenEvent

# As which version an answer names itself that no version gave.
DEFAULT = "default"


@dataclass(frozen=True)
class ProvenPrediction:
    """A prediction and the events that lead to it, all of them in the log that was signed."""

    prediction: PredictionRecord
    sealed: ProvenEvent
    version: EventRecord
    approvals: tuple[EventRecord, ...]
    run: tuple[EventRecord, ...]
    datasets: tuple[EventRecord, ...]
    steps: tuple[EventRecord, ...] = ()

    def text(self) -> str:
        """What is proven, as lines to read, without a final newline."""
        told, signed, by_default = self.prediction, self.sealed.checkpoint, self.prediction.version == DEFAULT
        answerer = (
            f"no version of {told.model}: the default answer," if by_default else f"{told.model} {told.version}, file"
        )
        lines = [
            f"prediction  {told.prediction_id} of {told.deployment}: {_outputs(told)}",
            f"answered by {answerer} {told.model_digest}",
            f"sealed      {self.sealed.event.recorded_at} at position {self.sealed.event.position}",
            f"log         {signed.origin} ({signed.size} events)",
            f"{'set' if by_default else 'registered':<11} by {self.version.actor} at position {self.version.position}",
        ]
        for event in self.steps:
            data = json.loads(event.payload)
            labels = data["labels"]
            lines.append(
                f"learned     step {data['step']} at position {event.position}: {labels['count']} labels, file "
                f"{labels['digest']}, to {data['digest_after']}"
            )
        lines += [f"approved    by {event.actor} at position {event.position}" for event in self.approvals]
        lines += [f"run         {json.loads(event.payload)['run_id']} by {event.actor}" for event in self.run]
        for event in self.datasets:
            data = json.loads(event.payload)
            lines.append(f"trained on  {data['dataset']} {data['version']}, digest {data['digest']}")
        if not self.approvals and not by_default:
            lines.append("nobody had approved this version")
        return "\n".join(
            [*lines, "PROVEN: the prediction is in the log that was signed, and all of the above with it."]
        )


def _outputs(told: PredictionRecord) -> List[Any]:
    """Numbers, and texts at their places."""
    texts = told.output_texts or ("",) * len(told.outputs)
    return [text if math.isnan(number) and told.has_texts else number for number, text in zip(told.outputs, texts)]
