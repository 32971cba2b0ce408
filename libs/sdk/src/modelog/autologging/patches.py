"""Functions of frameworks that are replaced for a while."""

from __future__ import annotations

import functools
from types import TracebackType
from typing import Any, Callable, List, Optional, Tuple, Type

_ABSENT = object()
Around = Callable[..., Any]


class Patches:
    """Replaced functions; the end of the `with` block puts back what was there."""

    def __init__(self) -> None:
        self._before: List[Tuple[Any, str, Any]] = []

    def around(self, owner: Any, name: str, wrapper: Around) -> None:
        """Have calls of `owner.name` go to `wrapper(original, ...)`, with the arguments of the call."""
        original = getattr(owner, name)

        @functools.wraps(original)
        def replaced(*arguments: Any, **named: Any) -> Any:
            return wrapper(original, *arguments, **named)

        # What a class inherits is not its own to be put back.
        self._before.append((owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, replaced)

    def __enter__(self) -> Patches:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for owner, name, before in reversed(self._before):
            if before is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._before.clear()
