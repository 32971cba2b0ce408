"""How the events of models that learn as they answer are told."""

from __future__ import annotations

from collections.abc import Mapping

from modelog_lineage.story.telling import Happened, Sentence
from modelog_lineage.story.words import Payload, because, count, word

_SET = {
    "on": "has {} learn from its labels",
    "paused": "paused the learning of {}",
    "off": "ended the learning of {}, which answers as it was registered",
}


def _set(p: Payload) -> str:
    return f"{word(p['by'])} {_SET[p['mode']].format(word(p['name']))}{because(p['reason'])}"


def _learned(p: Payload) -> str:
    labels = count(p["labels"]["count"], "label")
    return f"{word(p['model'])} {word(p['version'])} in {word(p['name'])} learned from {labels}"


def _steps(h: Happened) -> str:
    return h.told if h.count == 1 else f"{h.told}, the last of {count(h.count, 'step')}"


def _stopped(p: Payload) -> str:
    return f"{word(p['model'])} {word(p['version'])} in {word(p['name'])} stopped learning{because(p['why'])}"


SENTENCES: Mapping[str, Sentence] = {
    "serving.LearningSet": Sentence(_set),
    "serving.ModelLearned": Sentence(_learned, _steps),
    "serving.LearningStopped": Sentence(_stopped),
}
