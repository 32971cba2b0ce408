"""Training jobs: submit, follow, cancel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from modelog.api.datasets import Artifacts
from modelog.errors import ModelogError
from modelog.project import git_state, source_archive
from modelog.transport import Transport
from modelog.types import DatasetRef, Job, Record

POLL_S = 0.25


class JobFailed(ModelogError):
    """A job ended without success; the text is what it said."""


class _Jobs(Record):
    jobs: List[Job] = []
    next_page_token: str = ""


class _Logs(Record):
    text: str = ""
    next_offset: int = 0
    complete: bool = False


class Jobs:
    """Training jobs."""

    def __init__(self, transport: Transport, artifacts: Artifacts) -> None:
        self._transport, self._artifacts = transport, artifacts

    def spec(
        self,
        name: str,
        entry_point: str,
        *,
        experiment: str = "",
        source: Optional[Path] = None,
        parameters: Optional[Mapping[str, Any]] = None,
        datasets: Sequence[DatasetRef] = (),
        cpus: float = 1.0,
        register: str = "",
        version: str = "",
        timeout_s: float = 0.0,
        description: str = "",
    ) -> Dict[str, Any]:
        """What a job is: an entry point "module:function" in the Python source under `source`, which is uploaded.

        With `register`, what the job saves becomes a version of that model.
        """
        commit, dirty = git_state(source or Path.cwd())
        digest = self._artifacts.upload_bytes(source_archive(source), "source.zip").digest if source else ""
        return {
            "name": name,
            "experiment": experiment or name,
            "entry_point": entry_point,
            "source_digest": digest,
            "parameters": dict(parameters or {}),
            "datasets": list(datasets),
            "resources": {"cpus": cpus},
            "timeout_s": timeout_s,
            "register": {"model": register, "version": version, "description": description} if register else None,
            "git_commit": commit,
            "git_dirty": dirty,
        }

    def submit(self, spec: Mapping[str, Any]) -> Job:
        """Queue a job."""
        fields = {k: v for k, v in spec.items() if v is not None}
        return self._transport.post("/api/v1/jobs", Job, {"spec": fields})

    def get(self, job_id: str, *, as_of: Optional[str] = None) -> Job:
        """One job."""
        return self._transport.get(f"/api/v1/jobs/{job_id}", Job, as_of=as_of)

    def list(self, *, limit: int = 100, as_of: Optional[str] = None) -> List[Job]:
        """Jobs, newest first."""
        return self._transport.every("/api/v1/jobs", _Jobs, lambda page: page.jobs, limit=limit, as_of=as_of)

    def cancel(self, job_id: str, reason: str = "") -> Job:
        """Stop a job; one that has ended is not changed."""
        return self._transport.post(f"/api/v1/jobs/{job_id}/cancel", Job, {"reason": reason})

    def logs(self, job_id: str, *, follow: bool = False) -> str:
        """What the job printed so far; with `follow`, all of it once it has ended."""
        text, offset = "", 0
        while True:
            part = self._transport.get(f"/api/v1/jobs/{job_id}/logs", _Logs, offset=offset, follow=_flag(follow))
            text += part.text
            offset = part.next_offset
            if part.complete or not follow:
                return text

    def wait(self, job_id: str, *, timeout_s: float = 3600.0, progress: Optional[Callable[[Job], None]] = None) -> Job:
        """Wait for the end. Raises JobFailed with the job's own words, or TimeoutError."""
        self._transport.present("waiting for a job")
        deadline = time.monotonic() + timeout_s
        while True:
            job = self.get(job_id)
            if progress is not None:
                progress(job)
            if job.ended:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} is {job.status} after {timeout_s:g} s")
            time.sleep(POLL_S)
        if job.status != "JOB_STATUS_SUCCEEDED":
            raise JobFailed(f"job {job_id} ended as {job.status}: {job.error or 'it was cancelled'}")
        return job


def _flag(value: bool) -> str:
    return "true" if value else "false"
