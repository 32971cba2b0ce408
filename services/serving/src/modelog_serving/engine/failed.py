"""What goes wrong with a model itself: no fault of the request's form, and nothing that serving foresaw."""

from __future__ import annotations

from modelog_common.domain.errors import NotAllowed
from modelog_common.rpc.errors import PeerFailed

RAISED, DIED, HUNG, OUTGREW = "raised", "died", "hung", "outgrew"


class ModelFailed(PeerFailed):
    """The model raised an error of its own, or its answer is not what its signature says."""

    cause = RAISED


class ModelDied(ModelFailed):
    """The process of the model had to be replaced: it "died", "hung" or "outgrew" its memory."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class NeedsApproval(NotAllowed):
    """Reading the file may run what is in it, and nobody approved the version for staging or production."""


class NoRuntime(NotAllowed):
    """This server does not run models of a flavor, or lacks packages that they need."""
