"""In which workspace a client of MLflow's works: a header of its calls says so, when MLFLOW_WORKSPACE is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from modelog_common.domain.errors import NotFound

HEADER = "X-MLFLOW-WORKSPACE"
_current: ContextVar[str] = ContextVar("mlflow_workspace", default="")


@contextmanager
def working_in(workspace: str) -> Iterator[None]:
    """Work in a workspace; an empty name is everywhere."""
    before = _current.set(workspace.strip())
    try:
        yield
    finally:
        _current.reset(before)


def working_place() -> str:
    """The workspace that the current call works in; empty when it said none."""
    return _current.get()


def check_here(workspace: str, what: str) -> None:
    """Raises NotFound for what is elsewhere: a client must not take a name of another workspace for one of its own."""
    here = working_place()
    if here and workspace != here:
        raise NotFound(f"there is no {what} in the workspace {here!r}")
