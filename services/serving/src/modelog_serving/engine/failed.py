"""What goes wrong with a model itself: no fault of the request's form, and nothing that serving foresaw."""

from __future__ import annotations

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
