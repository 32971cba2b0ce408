"""The port to the libraries that run models, and what a loaded model is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelog_serving.deployment.signature import Signature
from modelog_serving.learning.terms import Seen

# float32, or float64 where float32 does not hold what the signature's datatypes do; of objects, which are str and
# float, where some of them are texts (`engine.texts`).
Matrix = NDArray[np.floating[Any]]
AnyArray = NDArray[Any]


class Model(Protocol):
    """A model in memory. `predict` may be called from several threads at once."""

    def predict(self, rows: Matrix) -> Matrix:
        """Answer (rows, features) with (rows, outputs), each float32 or float64; NaN stands for a missing value. Only
        a model whose signature has texts is given, and gives, objects.

        Raises Invalid for rows that a model of this kind cannot take.
        """
        ...


class Learner(Protocol):
    """A model that learns from labels. What answers is not changed by it: what it becomes is given as bytes."""

    def learn(self, state: bytes, rows: Matrix) -> tuple[bytes, Seen]:
        """What the model in `state` becomes when it learns (labels, features + 2) float64 in order, and how it did on
        them; the last two columns are the label and the amount, NaN for what was not told. Without a state it begins
        from the file that was loaded.

        Raises Invalid, naming the row as labels[n], for what it cannot learn from, NotAllowed when it never can.
        """
        ...


class Quick:
    """A model that takes no longer than it was measured to take, whatever the rows hold: it may answer a few of them
    on the event loop. `rows_per_ms` is how many it answers in a millisecond.

    A class to inherit from, for it is looked at once a batch, and a protocol takes ten times as long to look at.
    """

    rows_per_ms: int


class Away:
    """A model that answers from a process that may have to be replaced. A class to inherit from, as Quick is."""

    def tell(self, told: Callable[[str, str], None]) -> None:
        """Have the cause and a text told, from any thread, whenever the process had to be replaced."""
        raise NotImplementedError

    def beside(self, _content: bytes) -> Model | None:
        """What the model came to by learning, in the process that it has; None where that is not done. Raises
        NotAllowed when the state cannot be loaded."""
        return None


class Runtime(Protocol):
    """Runs the models of one flavor."""

    def load(self, content: bytes, signature: Signature, approved: bool) -> Model:
        """Read a model file's bytes; raises NotAllowed when it is broken or does not fit the signature.

        `approved` says that somebody approved the version for staging or production: only then may reading the file run
        what is written in it.
        """
        ...


class Runtimes(Protocol):
    """All that this process can run."""

    def of(self, flavor: str) -> Runtime:
        """The runtime of a flavor as the registry names it, such as "xgboost"; raises NotAllowed, saying why."""
        ...

    def original_of(self, flavor: str) -> Runtime:
        """The same, with no engine but the library's own."""
        ...
