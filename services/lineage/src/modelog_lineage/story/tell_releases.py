"""How the events of releases are told."""

from __future__ import annotations

from collections.abc import Mapping

from modelog_lineage.story.telling import Happened, Sentence
from modelog_lineage.story.words import Payload, because, count, word


def _started(p: Payload) -> str:
    way = word(p["plan"]["pattern"]).replace("_", "-")
    return (
        f"{word(p['by'])} began to release {word(p['model'])} {word(p['candidate']['version'])} to {word(p['name'])} "
        f"in place of {word(p['incumbent']['version'])}, {way}{because(p['reason'])}"
    )


def _looked(p: Payload) -> str:
    seen = count(p["evidence"]["candidate"]["requests"], "request")
    return f"the release {word(p['number'])} of {word(p['name'])} saw {seen} of the candidate"


def _looks(h: Happened) -> str:
    return h.told if h.count == 1 else f"{h.told}, after {count(h.count, 'look')}"


def _advanced(p: Payload) -> str:
    share = f"{word(p['percent'])} % of the traffic of {word(p['name'])}"
    return f"{word(p['model'])} {word(p['candidate'])} went on to {share}{because(p['reason'])}"


def _promoted(p: Payload) -> str:
    what = f"{word(p['model'])} {word(p['candidate'])} took the place of {word(p['incumbent'])}"
    return f"{what} in {word(p['name'])}{because(p['reason'])}"


def _rolled_back(p: Payload) -> str:
    what = f"the release of {word(p['model'])} {word(p['candidate'])} to {word(p['name'])} was rolled back"
    return f"{what} to {word(p['incumbent'])}{because(p['reason'])}"


def _stopped(p: Payload) -> str:
    what = f"the release of {word(p['model'])} {word(p['candidate'])} to {word(p['name'])} ended undecided"
    return f"{what}{because(p['reason'])}"


SENTENCES: Mapping[str, Sentence] = {
    "serving.ReleaseStarted": Sentence(_started),
    "serving.ReleaseLooked": Sentence(_looked, _looks),
    "serving.ReleaseAdvanced": Sentence(_advanced),
    "serving.ReleasePromoted": Sentence(_promoted),
    "serving.ReleaseRolledBack": Sentence(_rolled_back),
    "serving.ReleaseStopped": Sentence(_stopped),
}
