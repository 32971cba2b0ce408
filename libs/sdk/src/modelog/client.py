"""The client: one object for the platform, with an attribute for each of its parts."""

from __future__ import annotations

from types import TracebackType
from typing import List, Optional, Type

from modelog.api.audit import Audit
from modelog.api.datasets import Artifacts, Datasets
from modelog.api.deployments import Deployments
from modelog.api.experiments import Runs
from modelog.api.jobs import Jobs
from modelog.api.lineage import LineageGraph
from modelog.api.models import Models
from modelog.api.monitoring import Monitors
from modelog.api.users import Users
from modelog.config import resolve
from modelog.transport import Transport
from modelog.types import Identity, Record, ServiceHealth


class _Services(Record):
    services: List[ServiceHealth] = []


class Client:
    """A connection to a Modelog platform.

    >>> client = modelog.connect()                          # doctest: +SKIP
    >>> client.models.get("flight-delay").versions[0].stage  # doctest: +SKIP
    'STAGE_PRODUCTION'
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = 60.0) -> None:
        self._transport = transport = Transport(url, token, timeout_s)
        self.url = transport.url
        self.artifacts = Artifacts(transport)
        self.datasets = Datasets(transport, self.artifacts)
        self.models = Models(transport, self.artifacts)
        self.runs = Runs(transport, self.artifacts)
        self.jobs = Jobs(transport, self.artifacts)
        self.deployments = Deployments(transport)
        self.monitors = Monitors(transport)
        self.lineage = LineageGraph(transport)
        self.audit = Audit(transport)
        self.users = Users(transport)

    def me(self) -> Identity:
        """Who this client is and what it may do."""
        return self._transport.get("/api/v1/me", Identity)

    def services(self) -> List[ServiceHealth]:
        """The six services and how they are."""
        return self._transport.get("/api/v1/services", _Services).services

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def connect(url: Optional[str] = None, token: Optional[str] = None, *, user: Optional[str] = None) -> Client:
    """A client for the platform at `url`, or the one of MODELOG_URL, or the one that `modelog up` started last.

    `user` picks one of the users whose tokens the profile holds. Raises Unavailable or Unauthenticated, saying what to set.
    """
    return Client(*resolve(url, token, user))
