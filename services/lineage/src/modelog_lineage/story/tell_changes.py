"""How the events of change requests are told."""

from __future__ import annotations

from collections.abc import Mapping

from modelog_lineage.story.telling import Sentence
from modelog_lineage.story.words import Payload, because, listed, word

REVIEWED = "registry.ChangeReviewed"
_DID = {"approved": "approved", "changes_asked": "asked for changes of", "rejected": "rejected"}


def _change(p: Payload) -> str:
    return f"change request {word(p['change'])} of {word(p['model'])}"


def _requested(p: Payload) -> str:
    wanted = f"{word(p['model'])} {word(p['version'])} to go to {word(p['to_stage'])}"
    return f"{word(p['by'])} asked for {wanted} in {_change(p)}, {word(p['risk'])} risk: {word(p['title'])}"


def _reviewed(p: Payload) -> str:
    did = _DID.get(word(p["decision"]), "reviewed")
    return f"{word(p['by'])} {did} {_change(p)}{because(p['comment'])}"


SENTENCES: Mapping[str, Sentence] = {
    "registry.ChangeRequested": Sentence(_requested),
    "registry.ChangeEvidenceAttached": Sentence(
        lambda p: f"{word(p['by'])} attached {word(p['evidence']['name'])} to {_change(p)}"
    ),
    "registry.ChangeReviewersAsked": Sentence(
        lambda p: f"{word(p['by'])} asked {listed(word(one) for one in p['asked'])} to look at {_change(p)}"
    ),
    "registry.ChangeCommented": Sentence(lambda p: f"{word(p['by'])} said of {_change(p)}{because(p['comment'])}"),
    REVIEWED: Sentence(_reviewed),
    "registry.ChangeWithdrawn": Sentence(lambda p: f"{word(p['by'])} withdrew {_change(p)}{because(p['reason'])}"),
    "registry.ChangeApplied": Sentence(lambda p: f"{word(p['by'])} applied {_change(p)}"),
}
