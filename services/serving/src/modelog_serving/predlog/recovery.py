"""What a process that was killed left in the prediction log's journal is put into its file."""

from __future__ import annotations

from pathlib import Path

import structlog
from modelog_common.domain.errors import Unavailable

from modelog_serving.predlog.journal import Journal
from modelog_serving.predlog.writer import Writer

log = structlog.get_logger()


def recovered(path: Path, in_file: Writer) -> Journal:
    """The journal of the log `path`, empty; raises Unavailable when it cannot be used."""
    try:
        journal = Journal(path)
        left = journal.read(in_file.journaled)
        if left:
            in_file.recover(left)
            log.info("answers were recovered from the journal of the prediction log", path=str(path), frames=len(left))
        journal.empty()
    except OSError as error:
        raise Unavailable(f"the journal of the prediction log {path} cannot be used: {error}") from error
    return journal
