"""What `modelog up` and `modelog down` call, found by the entry points `modelog.platform`; errors are the SDK's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from modelog import errors
from modelog_common.domain.errors import Invalid, ModelogError, NotAllowed, NotFound
from modelog_proofs import ProofsError

from modelog_platform import up as platform

Progress = Callable[[str, str], None]
Ready = Callable[[Mapping[str, str]], None]


@contextmanager
def for_the_caller() -> Iterator[None]:
    """Platform errors become the SDK's, which the command line prints."""
    try:
        yield
    except NotFound as error:
        raise errors.NotFound(str(error)) from error
    except NotAllowed as error:
        raise errors.NotAllowed(str(error)) from error
    except (Invalid, ProofsError) as error:
        raise errors.Invalid(str(error)) from error
    except ModelogError as error:
        raise errors.Unavailable(str(error)) from error


def run_here(data_dir: Path, port: int, progress: Progress, ready: Ready, profile: str = "embedded") -> None:
    """Run a platform until it is told to stop."""
    with for_the_caller():
        platform.up(data_dir, port, progress, ready, profile=profile)


def start_detached(data_dir: Path, port: int, progress: Progress, ready: Ready, profile: str = "embedded") -> None:
    """Start a platform in the background; `ready` is called once it answers."""
    with for_the_caller():
        ready(platform.start_detached(data_dir, port, progress, profile))


def down(data_dir: Path | None) -> Path:
    """Stop a platform; returns its data directory."""
    with for_the_caller():
        return platform.down(data_dir)
