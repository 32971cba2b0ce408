"""How traffic, models that failed, the sealing of predictions and service levels are told."""

from __future__ import annotations

from collections.abc import Mapping

from modelog_lineage.story.telling import Happened, Sentence
from modelog_lineage.story.words import Payload, because, count, listed, word


def _version(p: Payload) -> str:
    failed = f" ({word(p['errors'])} not answered)" if p["errors"] else ""
    return f"{count(p['requests'], 'request')} of {word(p['version'])}{failed}"


def _measured(p: Payload) -> str:
    return f"{word(p['name'])} had {listed(_version(v) for v in p['versions'])} in the window from {word(p['start'])}"


def _measured_often(h: Happened) -> str:
    if h.count == 1:
        return h.told
    return f"{word(h.last['name'])} had traffic in {count(h.count, 'window')}, the last from {word(h.last['start'])}"


def _sealed(p: Payload) -> str:
    return f"{count(p['count'], 'prediction')} were sealed, answered until {word(p['last_answered_at'])}"


def _sealed_often(h: Happened) -> str:
    if h.count == 1:
        return h.told
    return f"{count(h.count, 'segment')} of predictions were sealed, the last until {word(h.last['last_answered_at'])}"


def _held(p: Payload) -> str:
    requests = sum(v["requests"] for v in p["versions"])
    return (
        f"{count(requests, 'request')} of {word(p['deployment'])} were held against the targets of {word(p['model'])}"
    )


def _held_often(h: Happened) -> str:
    if h.count == 1:
        return h.told
    what = f"{count(h.count, 'window')} of {word(h.last['deployment'])}"
    return f"{what} were held against the targets of {word(h.last['model'])}"


def _failed(p: Payload) -> str:
    return (
        f"the process of {word(p['model'])} {word(p['version'])} for {word(p['name'])} was replaced: {word(p['text'])}"
    )


def _failed_often(h: Happened) -> str:
    if h.count == 1:
        return h.told
    return f"models of {word(h.last['name'])} failed {count(h.count, 'time')}, the last: {word(h.last['text'])}"


def _tried(p: Payload) -> str:
    found = p["found"]
    why = f": {word(found['reason'])}" if found["reason"] else f" ({word(found['engine'])})"
    return f"{word(p['model'])} {word(p['version'])} was tried: {word(found['state'])}{why}"


def _asked(p: Payload) -> str:
    return f"{word(p['by'])} had {word(p['model'])} {word(p['version'])} tried again{because(p['reason'])}"


SENTENCES: Mapping[str, Sentence] = {
    "serving.TrafficMeasured": Sentence(_measured, _measured_often),
    "serving.ModelFailed": Sentence(_failed, _failed_often),
    "serving.PredictionsSealed": Sentence(_sealed, _sealed_often),
    "serving.VersionTried": Sentence(_tried),
    "serving.TrialAsked": Sentence(_asked),
    "monitoring.LevelMeasured": Sentence(_held, _held_often),
    "monitoring.LevelBurning": Sentence(lambda p: f"an error budget burns ({word(p['severity'])}): {word(p['text'])}"),
    "monitoring.LevelMet": Sentence(lambda p: f"an error budget burns no more: {word(p['text'])}"),
}
